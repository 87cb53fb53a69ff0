// A table of thousands of rows: only those that are in view are elements of the page.

import { add, el, setClass, setText } from "./dom.js";

const ROW_HEIGHT = 44;
const OVERSCAN = 8;
const SORT_EVERY_MS = 1000;

const compare = (left, right) => {
  if (left == null || right == null) return (left == null) - (right == null); // what is unknown comes last
  return typeof left === "string" ? left.localeCompare(right, "en", { numeric: true }) : left - right;
};

/*
 * columns: {key, label, title, isNumber, isWide, isLong, hide ("narrow", "medium", "wide", "large": where the window is), value(row), text(row), draw(cell, row)}
 * rows(): all rows that pass the filter. empty(): what to say where there are none.
 */
export class Table {
  constructor({ label, columns, rows, empty, sort }) {
    Object.assign(this, { columns, rows, empty, sort, order: [], sortedAt: 0, pool: [] });
    this.headers = columns.map((column) => this.header(column));
    this.body = el("tbody");
    this.above = el("tr", { "aria-hidden": "true", class: "space" }, el("td", {}));
    this.below = el("tr", { "aria-hidden": "true", class: "space" }, el("td", {}));
    this.body.append(this.above, this.below);
    this.table = el("table", { "aria-label": label, class: label.toLowerCase() }, el("thead", {}, el("tr", {}, this.headers)), this.body);
    this.scroller = el("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": `${label}, scrollable` }, this.table);
    this.none = el("p", { class: "none", hidden: true });
    this.element = el("div", { class: "table" }, this.scroller, this.none);
    this.scroller.addEventListener("scroll", () => this.draw(), { passive: true });
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.scroller);
  }

  header(column) {
    const button = el("button", { type: "button", title: column.title, onclick: () => this.sortBy(column) }, column.label);
    return el("th", { scope: "col", class: this.cellClass(column) }, button);
  }

  cellClass({ key, isNumber, isWide, isLong, hide }) {
    return [`of-${key}`, isNumber && "number", isLong && "long", isWide && "wide", hide && `hide-${hide}`].filter(Boolean).join(" ");
  }

  sortBy(column) {
    const isSame = this.sort.key === column.key;
    this.sort = { key: column.key, isDown: isSame ? !this.sort.isDown : Boolean(column.isNumber) };
    this.refresh(true);
  }

  // The order changes at most once per second, so that rows do not jump under the pointer.
  refresh(isForced = false) {
    const now = performance.now();
    if (isForced || now - this.sortedAt > SORT_EVERY_MS || this.order.length === 0) {
      this.sortedAt = now;
      this.arrange();
    }
    this.draw();
  }

  arrange() {
    const column = this.columns.find(({ key }) => key === this.sort.key) ?? this.columns[0];
    const direction = this.sort.isDown ? -1 : 1;
    const values = [];
    for (const row of this.rows()) values.push([column.value(row), row]);
    values.sort(([one, left], [other, right]) => {
      const isKnown = one != null && other != null;
      return (isKnown ? direction : 1) * compare(one, other) || left.id - right.id;
    });
    this.order = values.map(([, row]) => row.id);
    this.headers.forEach((header, index) => {
      const isSorted = this.columns[index] === column;
      header.setAttribute("aria-sort", isSorted ? (this.sort.isDown ? "descending" : "ascending") : "none");
    });
    this.table.setAttribute("aria-rowcount", this.order.length + 1);
    const isEmpty = this.order.length === 0;
    this.none.hidden = !isEmpty;
    this.scroller.hidden = isEmpty;
    if (isEmpty) this.none.replaceChildren(...[this.empty()].flat());
  }

  newRow() {
    const cells = this.columns.map((column) => el("td", { class: this.cellClass(column) }));
    const element = el("tr", {}, cells);
    return { element, cells };
  }

  draw() {
    const height = this.scroller.clientHeight || 600;
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / ROW_HEIGHT) - OVERSCAN);
    const last = Math.min(this.order.length, Math.ceil((this.scroller.scrollTop + height) / ROW_HEIGHT) + OVERSCAN);
    const count = Math.max(0, last - first);
    while (this.pool.length < count) {
      const row = this.newRow();
      this.pool.push(row);
      this.below.before(row.element);
    }
    while (this.pool.length > count) this.pool.pop().element.remove();
    this.above.style.height = `${first * ROW_HEIGHT}px`;
    this.below.style.height = `${(this.order.length - first - count) * ROW_HEIGHT}px`;
    const byId = this.byId();
    this.pool.forEach(({ element, cells }, index) => {
      const row = byId.get(this.order[first + index]);
      element.setAttribute("aria-rowindex", first + index + 2);
      if (row) this.drawRow(element, cells, row);
    });
  }

  drawRow(element, cells, row) {
    setClass(element, row.state === "error" || row.state === "broken" ? "bad" : "");
    this.columns.forEach((column, index) => {
      if (column.draw) column.draw(cells[index], row);
      else setText(cells[index], column.text(row));
    });
  }

  destroy() {
    this.resized.disconnect();
  }
}

// A cell with a text and a smaller line below.
export function drawText(cell, text, detail) {
  if (!cell.firstChild) add(cell, el("span", {}), el("small", {}));
  setText(cell.firstChild, text);
  setText(cell.lastChild, detail ?? "");
  if (cell.title !== text) cell.title = text;
}

// A cell with a link and a smaller line below; its elements are made once.
export function drawLink(cell, href, text, detail) {
  if (!cell.firstChild) add(cell, el("a", {}), el("small", {}));
  const [link, small] = cell.children;
  if (link.getAttribute("href") !== href) link.setAttribute("href", href);
  setText(link, text);
  setText(small, detail ?? "");
  const title = detail ? `${text}\n${detail}` : text; // both may be cut off
  if (cell.title !== title) cell.title = title;
}

export function drawChip(cell, kind, text, title = "") {
  if (!cell.firstChild) add(cell, el("span", {}));
  setClass(cell.firstChild, `chip ${kind}`);
  setText(cell.firstChild, text);
  if (cell.title !== title) cell.title = title;
}
