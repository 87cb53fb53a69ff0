// A table of thousands of rows, in which only the rows in view are elements of the page.
//
//   refresh() -> arrange(): the order of all rows, at most once per second -> draw()
//   scrolling, resizing ---------------------------------------------------> draw(): fills the pool of elements
//
// A page owns the rows: it calls refresh() where they have changed, draw() where only ages have grown, and destroy().

/** @import { Column } from "../types.js" */

import { add, el, setClass, setText, setTitle } from "../base/dom.js";

const ROW_HEIGHT = 44; // in pixels; style.css has it as --row-height
const OVERSCAN = 8;
const SORT_EVERY_MS = 1000;

const collator = new Intl.Collator("en", { numeric: true });

// direction: 1, or -1 for the largest first. What is unknown comes last in either direction.
function compare(left, right, direction = 1) {
  if (left == null || right == null) return (left == null) - (right == null);
  return direction * (typeof left === "string" ? collator.compare(left, right) : left - right);
}

// An item of the order is the id of a row, or a group.
const keyOf = (item) => (typeof item === "object" ? `group ${item.key}` : item);

// The sort in an address: "-waiting" is by the column waiting, the largest first.
export const sortText = ({ key, isDown }) => `${isDown ? "-" : ""}${key}`;
export const parseSort = (text) => ({ key: text.replace(/^-/, ""), isDown: text.startsWith("-") });

/*
 * name: the class of the table, for style.css. label: what a screen reader calls it.
 * columns: a list of Column (types.js).
 * byId(): a Map of all rows by `id`. rows(): the rows that pass the filter, if there is one.
 * empty(): the text, or its parts, where there are no rows.
 * arranged(): rows() was called, and its order is shown. That may be a second after refresh().
 * sort: {key, isDown}. sorted(): the reader chose another one. Equal rows are in the order of the first column.
 * groups(rows in order): null, or a list of {key, title, note, rows, isFolded}, whose titles are rows of the table.
 * fold(key): the button of a group was pressed.
 */
export class Table {
  constructor({ name, label, columns, byId, rows = () => [...byId().values()], empty, arranged, sort, sorted, groups,
    fold }) {
    Object.assign(this, { columns, byId, rows, empty, arranged, sort, sorted, groups, fold });
    Object.assign(this, { count: 0, order: [], sortedIds: [], sortedAt: null, pool: [] });
    this.headers = columns.map((column) => this.header(column));
    this.body = el("tbody");
    this.above = el("tr", { "aria-hidden": "true", class: "space" }, el("td", {}));
    this.below = el("tr", { "aria-hidden": "true", class: "space" }, el("td", {}));
    this.body.append(this.above, this.below);
    this.table = el("table", { "aria-label": label, class: name },
      el("thead", {}, el("tr", { "aria-rowindex": 1 }, this.headers)), this.body);
    this.scroller = el("div",
      { class: "scroller", tabindex: "0", role: "region", "aria-label": `${label}, scrollable` }, this.table);
    this.none = el("p", { class: "empty", role: "status", hidden: true });
    this.element = el("div", { class: "table" }, this.scroller, this.none);
    this.element.style.setProperty("--row-height", `${ROW_HEIGHT}px`);
    this.scroller.addEventListener("scroll", () => this.draw(), { passive: true });
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.scroller);
  }

  /** @param {Column<any>} column */
  header(column) {
    const sort = () => this.sortBy(column);
    const title = column.value
      ? el("button", { type: "button", title: column.title, onclick: sort }, column.label)
      : el("span", { title: column.title }, column.label);
    return el("th", { scope: "col", class: this.cellClass(column) }, title);
  }

  cellClass({ key, isNumber, isWide, isLong, hide }) {
    return [`of-${key}`, isNumber && "number", isLong && "long", isWide && "wide", hide && `hide-${hide}`]
      .filter(Boolean).join(" ");
  }

  sortBy(column) {
    const isSame = this.sort.key === column.key;
    this.sort = { key: column.key, isDown: isSame ? !this.sort.isDown : Boolean(column.isNumber) };
    this.sorted?.();
    this.refresh(true);
  }

  // The order changes at most once per second, so that rows do not jump under the pointer. A change in between waits
  // for the rest of the second.
  refresh(isForced = false) {
    const wait = this.sortedAt + SORT_EVERY_MS - performance.now();
    clearTimeout(this.later);
    if (isForced || wait <= 0 || this.order.length === 0) this.arrange();
    else this.later = setTimeout(() => this.refresh(), wait);
    this.draw();
  }

  arrange() {
    this.sortedAt = performance.now();
    const [first] = this.columns;
    // The sort of an address may have any key: somebody can have written it.
    const column = this.columns.find(({ key, value }) => value && key === this.sort.key) ?? first;
    const direction = this.sort.isDown ? -1 : 1;
    const rows = this.inFormerOrder(this.rows())
      .map((row) => ({ row, value: column.value(row), name: first.value(row) }))
      .sort((one, other) => compare(one.value, other.value, direction) || compare(one.name, other.name) ||
        compare(one.row.id, other.row.id))
      .map(({ row }) => row);
    const groups = this.groups?.(rows);
    this.count = rows.length;
    this.sortedIds = rows.map(({ id }) => id);
    this.order = groups
      ? groups.flatMap((group) => [group, ...(group.isFolded ? [] : group.rows.map(({ id }) => id))])
      : this.sortedIds;
    this.columns.forEach((one, index) => {
      if (!one.value) return;
      const order = this.sort.isDown ? "descending" : "ascending";
      this.headers[index].setAttribute("aria-sort", one === column ? order : "none");
    });
    this.table.setAttribute("aria-rowcount", this.order.length + 1);
    const isEmpty = this.order.length === 0;
    this.none.hidden = !isEmpty;
    this.scroller.hidden = isEmpty;
    if (isEmpty) this.explain([this.empty()].flat());
    this.arranged?.();
  }

  // Rows that are nearly in order are sorted by few comparisons. New ones come last.
  inFormerOrder(rows) {
    const left = new Map(rows.map((row) => [row.id, row]));
    const known = this.sortedIds.filter((id) => left.has(id)).map((id) => left.get(id));
    for (const { id } of known) left.delete(id);
    return [...known, ...left.values()];
  }

  // Why there is no row. Screen readers read the text out when it changes.
  explain(parts) {
    const text = parts.map((part) => part.textContent ?? part).join("");
    if (this.none.textContent !== text) this.none.replaceChildren(...parts);
  }

  newRow() {
    const cells = this.columns.map((column) => el("td", { class: this.cellClass(column) }));
    const element = el("tr", {}, cells);
    return { element, cells, title: null, key: null };
  }

  // A row of the pool has its cells, or the title of a group; both are kept, as it changes from one to the other.
  drawGroup(row, group) {
    if (!row.title) {
      const arrow = el("span", { class: "arrow", "aria-hidden": "true" });
      const [name, note] = [el("b", {}), el("span", { class: "note" })];
      const button = el("button", { type: "button", onclick: () => this.fold(row.title.group.key) }, arrow, name, note);
      row.title = { name, note, button, cell: el("th", { scope: "rowgroup" }, button) };
    }
    row.title.group = group;
    setClass(row.element, "group");
    setText(row.title.name, group.title);
    setText(row.title.note, group.note);
    row.title.button.setAttribute("aria-expanded", String(!group.isFolded));
    row.title.cell.colSpan = this.shownColumns;
    if (row.element.firstChild !== row.title.cell) row.element.replaceChildren(row.title.cell);
  }

  // The focus stays on its row when the row gets another place. An element that is moved loses the focus: so the
  // element with the focus stays, and the others are moved around it. When the row leaves the view, the table gets the
  // focus.
  keepFocus(shown) {
    const from = this.pool.findIndex(({ element }) => element.contains(document.activeElement));
    if (from < 0 || this.pool[from].key === keyOf(shown[from])) return;
    const focused = this.pool[from];
    const to = shown.findIndex((item) => keyOf(item) === focused.key);
    if (to < 0) {
      this.scroller.focus({ preventScroll: true });
      return;
    }
    const others = this.pool.filter((row) => row !== focused);
    focused.element.before(...others.slice(0, to).map(({ element }) => element));
    focused.element.after(...others.slice(to).map(({ element }) => element));
    this.pool = [...others.slice(0, to), focused, ...others.slice(to)];
  }

  draw() {
    if (this.sortedAt === null) this.arrange(); // shows empty(), before the first rows come
    const height = this.scroller.clientHeight || 600;
    // Where the table gets shorter, the browser corrects scrollTop only after it: until then it may be below all rows.
    const top = Math.max(0, Math.min(this.scroller.scrollTop, this.order.length * ROW_HEIGHT - height));
    const first = Math.max(0, Math.floor(top / ROW_HEIGHT) - OVERSCAN);
    const last = Math.min(this.order.length, Math.ceil((top + height) / ROW_HEIGHT) + OVERSCAN);
    const count = Math.max(0, last - first);
    while (this.pool.length < count) {
      const row = this.newRow();
      this.pool.push(row);
      this.below.before(row.element);
    }
    const shown = this.order.slice(first, last);
    this.keepFocus(shown);
    while (this.pool.length > count) this.pool.pop().element.remove();
    this.above.style.height = `${first * ROW_HEIGHT}px`;
    this.below.style.height = `${(this.order.length - first - count) * ROW_HEIGHT}px`;
    const byId = this.byId();
    if (this.order.some((item) => typeof item === "object"))
      this.shownColumns = this.headers.filter(({ offsetWidth }) => offsetWidth > 0).length;
    this.pool.forEach((pooled, index) => {
      const { element, cells } = pooled;
      const item = shown[index];
      pooled.key = keyOf(item);
      element.setAttribute("aria-rowindex", first + index + 2);
      if (typeof item === "object") {
        this.drawGroup(pooled, item);
        return;
      }
      if (element.firstChild !== cells[0]) element.replaceChildren(...cells);
      const row = byId.get(item);
      if (row) this.drawRow(element, cells, row);
      else setClass(element, "gone"); // the row has gone since the rows were arranged
    });
  }

  drawRow(element, cells, row) {
    setClass(element, "");
    this.columns.forEach((column, index) => {
      if (column.draw) column.draw(cells[index], row);
      else setText(cells[index], column.text(row));
    });
  }

  destroy() {
    clearTimeout(this.later);
    this.resized.disconnect();
  }
}

// What a column's draw() calls. A text, and a smaller line below it:
export function drawText(cell, text, detail, tag = "span") {
  if (!cell.firstChild) add(cell, el(tag, {}), el("small", {}));
  setText(cell.firstChild, text);
  setText(cell.lastChild, detail ?? "");
  setTitle(cell, detail ? `${text}\n${detail}` : text); // both may be cut off in the cell
}

export function drawLink(cell, href, text, detail) {
  drawText(cell, text, detail, "a");
  if (cell.firstChild.getAttribute("href") !== href) cell.firstChild.setAttribute("href", href);
}

// The cell shows other rows later: its button opens the row that the cell shows when it is pressed.
export function drawButton(cell, row, text, label, open) {
  if (!cell.firstChild) {
    const press = () => open(cell.row);
    add(cell, el("button", { type: "button", class: "quiet", onclick: press }, text));
  }
  cell.row = row;
  cell.firstChild.setAttribute("aria-label", label);
}

export function drawChip(cell, kind, text, title = "") {
  if (!cell.firstChild) add(cell, el("span", {}));
  setClass(cell.firstChild, `chip ${kind}`);
  setText(cell.firstChild, text);
  setTitle(cell, title);
}
