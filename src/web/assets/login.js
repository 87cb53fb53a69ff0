// The page that was wanted is in the fragment, which the server never sees: it goes along with the form.

document.getElementById("form").action = `/login${location.hash}`;
document.getElementById("wrong").hidden = location.search !== "?wrong";
