// Makes and changes elements, without markup: every text is set as text, so that no name from outside becomes HTML.

export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  add(element, ...children);
  return element;
}

export function add(element, ...children) {
  for (const child of children.flat(Infinity)) if (child != null && child !== false) element.append(child);
  return element;
}

// Writing the same text again would end a selection in it, and screen readers would read it out.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const madeOf = new WeakMap(); // element -> the input of its children, as JSON

// make(input) returns the children. It is called only if the input has changed: a selection and the place stay.
export function setChildren(element, input, make) {
  const text = JSON.stringify(input);
  if (madeOf.get(element) === text) return;
  madeOf.set(element, text);
  element.replaceChildren(...make(input));
}

// Puts these children into the element, in this order. A child that has its place is not moved: that would end a
// selection in it.
export function arrange(element, children) {
  const wanted = new Set(children);
  for (const child of [...element.children]) if (!wanted.has(child)) child.remove();
  children.forEach((child, index) => {
    if (element.children[index] !== child) element.insertBefore(child, element.children[index] ?? null);
  });
}

export function setClass(element, name) {
  if (element.className !== name) element.className = name;
}

// Screen readers read the text out where the reader's filter has changed it, and not each second.
export function announceOnly(element, isByReader) {
  element.setAttribute("aria-live", isByReader ? "polite" : "off");
}

export function setTitle(element, title) {
  if (element.title !== title) element.title = title;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
