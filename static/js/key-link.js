// A reader who has signed in before needs no key from the link, which should not stay in the address.
if (location.hash.startsWith("#key=")) history.replaceState(null, "", location.pathname + location.search);
