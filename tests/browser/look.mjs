// Looks at pages and diagrams with Debian's Chromium, as a reader would: opens, clicks, types, searches.
//
// Reads one JSON document from standard input: {pages: [[path, size…]], mermaid: [path], shots: folder or null, most: milliseconds};
// writes one to standard output: what was found wrong, and how long each page took to be ready. Nothing is fetched: every
// request but the page itself is a finding.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const require = createRequire(import.meta.url);
const job = JSON.parse(readFileSync(0, "utf8"));
const wrong = [];
const times = {};
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
});

const SIZES = { desktop: { width: 1366, height: 800 }, phone: { width: 390, height: 844 } };

async function look(path, size, scheme) {
  const name = `${basename(path, ".html")} (${size}, ${scheme})`;
  const fail = (what) => wrong.push(`${name}: ${what}`);
  const context = await browser.newContext({ viewport: SIZES[size], colorScheme: scheme, bypassCSP: false, hasTouch: size === "phone" });
  const page = await context.newPage();
  page.setDefaultTimeout(15000);
  page.on("pageerror", (error) => fail(`script error: ${error.message}`));
  page.on("console", (message) => { if (message.type() === "error") fail(`console: ${message.text()}`); });
  const url = pathToFileURL(path).href;
  page.on("request", (request) => { if (request.url() !== url) fail(`asks for ${request.url()}`); });
  // The least of three tries, where the first takes long: what else this machine does at the moment says nothing of the page.
  for (let tries = 0; tries < 3 && !(times[name] <= job.most); tries++) {
    const began = performance.now();
    await (tries ? page.reload() : page.goto(url));
    await page.waitForFunction(() => document.body.dataset.ready === "yes" && document.querySelector("#boxes").childElementCount > 0);
    times[name] = Math.min(times[name] ?? Infinity, Math.round(performance.now() - began));
  }
  if (job.most && times[name] > job.most) fail(`took ${times[name]} ms to open`);
  const shot = async (what) => job.shots && page.screenshot({ path: `${job.shots}/${basename(path, ".html")}-${size}-${scheme}-${what}.png` });
  const total = await page.evaluate(() => JSON.parse(document.getElementById("data").textContent).nodes.length);
  const check = async (what) => {
    // Thousands of rows of one kind say nothing that ten do not, and take axe minutes.
    if (total > 200 && what !== "graph") return;
    // Run beside the page's own policy, as a browser extension would.
    const found = await page.evaluate(async (source) => {
      new Function(source)();
      const result = await window.axe.run(document, { resultTypes: ["violations"] });
      return result.violations.map((v) => `${v.id} (${v.nodes.length}): ${v.nodes[0].html.slice(0, 160)}`);
    }, axe).catch((error) => [String(error)]);
    found.forEach((violation) => fail(`axe, ${what}: ${violation}`));
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wide > 0) fail(`${what}: ${wide} pixels wider than the screen`);
  };
  await shot("graph");
  await check("graph");
  const first = await page.evaluate(() => {
    const marks = [...document.querySelectorAll(".mark")];
    const spills = (mark) => [...mark.querySelectorAll("text")].some((text) => text.getComputedTextLength() > mark.querySelector("rect").width.baseVal.value - 12);
    const scale = document.getElementById("view").transform.baseVal.consolidate()?.matrix.a;
    return { marks: marks.length, spills: marks.filter(spills).map((mark) => mark.dataset.node), scale };
  });
  if (first.spills.length) fail(`texts are wider than their boxes: ${first.spills.slice(0, 3)}`);
  if (total && total <= 200 && (!first.marks || first.scale < 0.55)) fail(`nobody can read the graph at first: ${first.marks} steps, scale ${first.scale}`);

  // The timeline and the list have a row for each step; a click explains it.
  await page.click("#tab-time");
  if (!(await page.locator("#time .row").count())) fail("the timeline is empty");
  await shot("time");
  await check("timeline");
  await page.keyboard.press("ArrowRight");
  if (!(await page.locator("#tab-steps").evaluate((e) => e === document.activeElement && e.getAttribute("aria-selected") === "true"))) fail("arrow keys do not change tabs");
  if ((await page.locator("#steps .row").count()) !== total) fail(`not every one of ${total} steps is listed`);
  await check("steps");
  await page.locator("#steps .row").first().click();
  if (!(await page.locator("#detail").isVisible())) fail("a click on a step explains nothing");
  const parts = await page.locator("#detail h3").allTextContents();
  if (!parts.includes("Input") || !parts.includes("Order")) fail(`the explanation has only ${parts}`);
  await page.keyboard.press("Escape");
  if (await page.locator("#detail").isVisible()) fail("Escape does not close the explanation");

  // A search narrows the list and finds the step in the graph.
  const wanted = await page.evaluate(() => JSON.parse(document.getElementById("data").textContent).nodes.find((n) => n.look === "call" || n.look === "destroy" || n.look === "wait").id);
  await page.fill("#search", wanted);
  const shown = await page.locator("#steps .row:visible").count();
  if (!(shown >= 1 && (shown < total || total === 1))) fail(`a search for ${wanted} shows ${shown} of ${total} steps`);
  await page.click("#tab-graph");
  await page.focus("#search");
  await page.keyboard.press("Enter");
  const mark = page.locator(`[data-node="${wanted}"]`);
  await mark.waitFor({ timeout: 3000 }).catch(() => fail(`${wanted} does not come into view`));
  const sections = await page.locator("#detail h3").allTextContents();
  for (const part of ["Input", "Order"]) if (!sections.includes(part)) fail(`${wanted} is explained without ${part}`);
  await shot("detail");
  await check("detail");
  await page.click("#close");
  await page.fill("#search", "");

  // Keyboard: a step has the focus, Enter explains it, an arrow goes on.
  await mark.focus();
  await page.keyboard.press("Enter");
  if (!(await page.locator("#detail").isVisible())) fail("Enter on a step explains nothing");
  await page.keyboard.press("Escape");
  await page.focus("#drawing");
  const before = await page.locator("#view").getAttribute("transform");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("+");
  await page.waitForFunction((old) => document.getElementById("view").getAttribute("transform") !== old, before, { timeout: 3000 }).catch(() => fail("keys do not move the graph"));

  // The pointer drags and zooms, and frames stay short while it does.
  const box = await page.locator("#drawing").boundingBox();
  await page.click("#zoom-fit");
  // The least of several tries, some time apart: what else the machine is doing is not the page's.
  const drag = () => page.evaluate(async ([x, y]) => {
    const svg = document.getElementById("drawing");
    const send = (type, dx) => svg.dispatchEvent(new PointerEvent(type, { pointerId: 1, clientX: x + dx, clientY: y, bubbles: true }));
    send("pointerdown", 0);
    const frames = [];
    let last = performance.now();
    for (let n = 1; n <= 30; n++) {
      send("pointermove", n * 6);
      if (n % 5 === 0) svg.dispatchEvent(new WheelEvent("wheel", { deltaY: -60, clientX: x, clientY: y, bubbles: true, cancelable: true }));
      await new Promise(requestAnimationFrame);
      frames.push(performance.now() - last);
      last = performance.now();
    }
    send("pointerup", 180);
    return frames.sort((a, b) => a - b)[Math.floor(frames.length / 2)];
  }, [box.x + box.width / 2, box.y + box.height / 2]);
  let slow = await drag();
  for (let tries = 1; tries < 6 && slow > 100; tries++) {
    await page.waitForTimeout(500);
    slow = Math.min(slow, await drag());
  }
  times[`${name}: frame`] = Math.round(slow);
  if (slow > 100) fail(`a frame takes ${Math.round(slow)} ms while the graph is dragged`);
  await context.close();
}

try {
  for (const [path, ...sizes] of job.pages || []) {
    for (const size of sizes) {
      const scheme = size === "phone" ? "dark" : "light";
      await look(path, size, scheme).catch((error) => wrong.push(`${basename(path)} (${size}): ${error.message}`));
    }
  }
  if ((job.mermaid || []).length) {
    const page = await browser.newPage();
    await page.addScriptTag({ path: require.resolve("mermaid/dist/mermaid.min.js") });
    for (const path of job.mermaid) {
      const answer = await page.evaluate(async (text) => {
        mermaid.initialize({ startOnLoad: false, securityLevel: "strict" });
        try {
          await mermaid.parse(text);
          const { svg } = await mermaid.render("drawn", text);
          return svg.includes("Maximum text size") || svg.includes("Syntax error") ? "is drawn as an error" : "";
        } catch (error) {
          return String(error.message || error);
        }
      }, readFileSync(path, "utf8"));
      if (answer) wrong.push(`${basename(path)}: Mermaid says: ${answer}`);
    }
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify({ wrong, times }));
