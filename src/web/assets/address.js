// What is shown is in the address, #/PATH?name=value, so that a reload and a shared link show the same.

const lastOf = new Map(); // path -> its address when it was shown last

// Any other fragment stands for the first page.
const hash = () => (location.hash.startsWith("#/") ? location.hash : "#/");

export const path = () => hash().slice(1).split("?")[0];
export const parameters = () => new URLSearchParams(hash().split("?")[1] ?? "");
export const addressOf = (wanted) => lastOf.get(wanted) ?? `#${wanted}`;
export const remember = () => lastOf.set(path(), hash());

// A ScaledObject, or a pod, in addresses of pages and of the server. Names may have any character, as they come with
// calls.
export const objectPath = (namespace, name) => `${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;
export const objectQuery = (namespace, name) => new URLSearchParams({ namespace, name }).toString();

// Empty values are left out. The page stays, and knows what it has changed.
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
