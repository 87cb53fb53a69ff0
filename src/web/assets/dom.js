// Elements without markup: every text is set as text, so that no name from outside becomes HTML.

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

// Changes the page only where the text is another one.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const madeOf = new WeakMap(); // element -> what its children were made of, as JSON

// New children only where what they are made of is another: a reader's selection and scroll position stay.
export function setChildren(element, input, make) {
  const text = JSON.stringify(input);
  if (madeOf.get(element) === text) return;
  madeOf.set(element, text);
  element.replaceChildren(...make(input));
}

export function setClass(element, name) {
  if (element.className !== name) element.className = name;
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
