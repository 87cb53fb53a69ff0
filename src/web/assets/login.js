// The login's page. The page that the reader wanted is in the fragment, which browsers send to no server: the form's
// address keeps it for the page after the login.

document.getElementById("form").action = `/login${location.hash}`;
document.getElementById("wrong").hidden = location.search !== "?wrong";
