// The address of what is shown, #/PATH?name=value. It has all that a reader chose, so that a reload and a shared link
// show the same. Pages read and set the parameters; a link to a page leads to the address that the page had last.

const lastOf = new Map(); // path -> the address that was shown last with this path

// A fragment that does not begin with "#/" stands for the first page.
const hash = () => (location.hash.startsWith("#/") ? location.hash : "#/");

export const path = () => hash().slice(1).split("?")[0];
export const parameters = () => new URLSearchParams(hash().split("?")[1] ?? "");
export const addressOf = (wanted) => lastOf.get(wanted) ?? `#${wanted}`;
export const remember = () => lastOf.set(path(), hash());

// A ScaledObject, or a pod, in addresses of pages and of the server. Names come with KEDA's calls, and may have any
// character.
export const objectPath = (namespace, name) => `${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;
export const objectQuery = (namespace, name) => new URLSearchParams({ namespace, name }).toString();

// Changes parameters of the address; an empty value removes its parameter. The page is not made again: whoever calls
// this draws what changes.
export function setParameters(changes) {
  const all = parameters();
  for (const [name, value] of Object.entries(changes)) {
    if (value) all.set(name, value);
    else all.delete(name);
  }
  const query = all.toString();
  history.replaceState(null, "", `#${path()}${query && "?"}${query}`);
  remember();
}
