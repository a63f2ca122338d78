// The row of pages, which slides where it is wider than the screen: it begins where the page's own entry shows.

const current = document.querySelector(".nav [aria-current]");
if (current) current.parentElement.scrollLeft = current.offsetLeft + current.offsetWidth / 2 - current.parentElement.clientWidth / 2;
