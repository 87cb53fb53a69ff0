// A Chromium for the tests: reads one JSON command per line, and answers each with one line.
//   argv: the path of chromium

import { createRequire } from "node:module";
import readline from "node:readline";
import { chromium } from "playwright-core";

const require = createRequire(import.meta.url);
const axePath = require.resolve("axe-core/axe.min.js");
const TIMEOUT_MS = 60_000;

const OPEN_MS = 45_000;

const launch = () => chromium.launch({ executablePath: process.argv[2], headless: true, args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"] });

let browser = await launch();
let context;
let page;
let isUsual = false; // No script of ours is part of each page that it shows.
let problems = []; // Whatever a user would see in the console as an error, or what failed to load.
const origins = new Set(); // Where it was.

async function makePage() {
  context = await browser.newContext({ bypassCSP: false });
  page = await context.newPage();
  page.setDefaultTimeout(TIMEOUT_MS);
  page.on("framenavigated", (frame) => origins.add(new URL(frame.url()).origin));
  page.on("console", (message) => message.type() === "error" && problems.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => problems.push(`error: ${error.stack}`));
  page.on("requestfailed", (request) => request.failure()?.errorText !== "net::ERR_ABORTED" && problems.push(`request: ${request.url()} ${request.failure()?.errorText}`));
}

// So that the page is as a new one of another user, which takes a second of a core to make. Returns whether it is.
async function forget() {
  try {
    await page.goto("about:blank");
    await page.mouse.move(0, 0);
    await context.clearCookies();
    const session = await context.newCDPSession(page);
    for (const origin of origins) if (origin !== "null") await session.send("Storage.clearDataForOrigin", { origin, storageTypes: "all" });
    await session.detach();
    origins.clear();
    return true;
  } catch {
    return false; // It has crashed.
  }
}

// "beside" leaves the page of before open, as that of another user.
async function openPage({ width = 1440, height = 900, scheme = "light", contrast = false, hidden = false, beside = false }) {
  if (!isUsual || hidden || beside || !(await forget())) {
    if (!beside) await context?.close();
    await makePage();
  }
  isUsual = !hidden;
  problems = [];
  await page.setViewportSize({ width, height });
  await page.emulateMedia({ colorScheme: scheme, forcedColors: contrast ? "active" : "none" });
  if (hidden) await page.addInitScript(`(${setHidden})(true)`);
}

// Chromium now and then never opens, or closes, a window, and then none at all: another one does.
async function open(options) {
  const opened = openPage(options).then(() => true);
  const hangs = new Promise((resolve) => setTimeout(resolve, OPEN_MS, false).unref());
  if (!(await Promise.race([opened, hangs]))) {
    if (options.beside) throw new Error("Chromium does not open a window");
    opened.catch(() => {});
    browser.close().catch(() => {});
    browser = await launch();
    context = undefined;
    isUsual = false;
    await openPage(options);
  }
  await page.goto(options.url);
}

// As if the tab went to the background, or came to the front: without windows Chromium has no such thing.
function setHidden(isHidden) {
  Object.defineProperty(document, "hidden", { configurable: true, value: isHidden });
  document.dispatchEvent(new Event("visibilitychange"));
}

// The page's own policy forbids scripts from elsewhere, so axe runs in the isolated world of the debugger's protocol.
async function axe() {
  const { readFile } = await import("node:fs/promises");
  const session = await context.newCDPSession(page);
  const { frameTree } = await session.send("Page.getFrameTree");
  const { executionContextId } = await session.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id, worldName: "axe" });
  const run = async (expression) => {
    const { result, exceptionDetails } = await session.send("Runtime.evaluate", { expression, contextId: executionContextId, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  };
  await run(await readFile(axePath, "utf8"));
  return run(`axe.run(document, {resultTypes: ["violations"]}).then(({violations}) => violations.map(({id, help, nodes}) => ({id, help, where: nodes.slice(0, 5).map(({html, failureSummary}) => html.slice(0, 200) + " " + failureSummary)})))`);
}

const commands = {
  open,
  axe,
  // Waits for it: a window that is closed while its page is being left often never closes.
  async leave() {
    await page.goto("about:blank");
  },
  async evaluate({ script }) {
    return page.evaluate(script);
  },
  async wait({ script, milliseconds = TIMEOUT_MS }) {
    // Asked from outside: the page's own policy forbids what playwright's waiting evaluates.
    const deadline = Date.now() + milliseconds;
    const isTrue = () => page.evaluate(script).catch((error) => {
      if (!String(error).includes("Execution context was destroyed")) throw error; // another page is being loaded
    });
    while (!(await isTrue())) {
      if (Date.now() > deadline) throw new Error(`not true in ${milliseconds} ms: ${script}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  },
  async click({ selector }) {
    await page.click(selector);
  },
  async download({ selector }) {
    const [download] = await Promise.all([page.waitForEvent("download"), page.click(selector)]);
    const { readFile } = await import("node:fs/promises");
    return [download.suggestedFilename(), await readFile(await download.path(), "utf8")];
  },
  // From one share of the element's width to another, in the middle of its height.
  async drag({ selector, from, to }) {
    const element = page.locator(selector);
    await element.scrollIntoViewIfNeeded();
    const box = await element.boundingBox();
    const y = box.y + box.height / 2;
    await page.mouse.move(box.x + box.width * from, y);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * to, y, { steps: 5 });
    await page.mouse.up();
  },
  async fill({ selector, text }) {
    await page.fill(selector, text);
  },
  async files({ selector, paths }) {
    await page.setInputFiles(selector, paths);
  },
  async press({ key }) {
    await page.keyboard.press(key);
  },
  async hide({ hidden }) {
    await page.evaluate(setHidden, hidden);
  },
  async size({ width, height }) {
    await page.setViewportSize({ width, height });
  },
  async screenshot({ path }) {
    await page.screenshot({ path, animations: "disabled" });
  },
  async problems() {
    return problems;
  },
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { command, ...argument } = JSON.parse(line);
  let answer;
  try {
    answer = { value: (await commands[command](argument)) ?? null };
  } catch (error) {
    answer = { error: String(error.stack ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
