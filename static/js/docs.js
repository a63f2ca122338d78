// Swagger UI keeps its styles in the elements themselves, which the page's policy allows to scripts.
const place = document.getElementById("swagger");

window.SwaggerUIBundle({
  domNode: place,
  url: place.dataset.document,
  deepLinking: true,
  validatorUrl: null,
});
