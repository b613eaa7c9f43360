"use strict";
// Draws the plan from the data beside it. Only what is in view exists as elements, so that a plan of thousands of steps
// moves as smoothly as one of ten.
(() => {
  const $ = (id) => document.getElementById(id);
  const plan = JSON.parse($("data").textContent);
  const { nodes, clusters, edges } = plan;
  const [W, H] = plan.step;
  let details = null;
  const make = (tag, attributes, ...children) => {
    const svg = ["g", "rect", "text", "path", "title"].includes(tag);
    const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };

  // Head.
  $("title").textContent = `${plan.project} → ${plan.target}`;
  $("verdict").textContent = plan.verdict;
  $("facts").textContent = `${nodes.length ? `Predicted: ${plan.time}. ` : ""}Plan ${plan.digest}`;
  const alert = (danger, title, lines) => {
    if (!lines.length) return;
    const list = make("ul", {}, ...lines.map((line) => make("li", {}, line)));
    const box = make("details", danger ? { class: "danger" } : {}, make("summary", {}, title), list);
    $("alerts").append(box);
  };
  alert(true, `${plan.destroyed.length} things are destroyed after the commit point`, plan.destroyed);
  alert(true, `${plan.final.length} steps cannot be undone, although the run may still fail after them`, plan.final);
  alert(false, `${(plan.notices || []).length} warnings`, (plan.notices || []).map((n) => `${n.code} ${n.message}${n.at ? ` (${n.at})` : ""}`));
  alert(false, "Rehearsal", plan.rehearsal || []);
  for (const { name, change } of plan.components) $("component").append(make("option", { value: name }, `${name} ${change}`));

  // What is asked for.
  const back = (node) => node.look === "undo";
  let wanted = new Set(nodes.keys());
  let filtered = false;
  const text = nodes.map((n) => `${n.id} ${n.summary} ${n.operation} ${n.component || ""}`.toLowerCase());
  const choose = () => {
    const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const component = $("component").value;
    const way = $("way").value;
    wanted = new Set();
    nodes.forEach((node, at) => {
      if (component && node.component !== component) return;
      if ((way === "forward" && back(node)) || (way === "back" && !back(node)) || (way === "critical" && !node.critical)) return;
      if (words.every((word) => text[at].includes(word))) wanted.add(at);
    });
    filtered = wanted.size < nodes.length;
    $("count").textContent = `${wanted.size} of ${nodes.length} steps`;
    lists();
    redraw();
  };

  // The graph: a view that moves over the drawing.
  const svg = $("drawing");
  const view = { x: 0, y: 0, scale: 1 };
  const drawn = { boxes: new Map(), lines: new Map(), marks: new Map() };
  const home = [];
  clusters.forEach((cluster, at) => cluster.nodes.forEach((node) => (home[node] = at)));
  const touching = nodes.map(() => []);
  edges.forEach(([from, to], at) => { touching[from].push(at); touching[to].push(at); });
  const between = new Map();
  edges.forEach(([from, to, kind]) => {
    if (kind === 0 && home[from] !== home[to]) between.set(`${home[from]}-${home[to]}`, [home[from], home[to]]);
  });
  // What everything begins or ends with would cover all the rest; its edges are drawn when it is chosen.
  const MANY = 60;
  const hub = (n) => touching[n].length > MANY && n !== chosen;
  const crowd = clusters.map(() => 0);
  for (const [from, to] of between.values()) { crowd[from]++; crowd[to]++; }
  let chosen = -1;
  let waiting = false;
  const redraw = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  };
  const keep = (kind, parent, needed) => {
    const known = drawn[kind];
    for (const [key, element] of known) if (!needed.has(key)) { element.remove(); known.delete(key); }
    for (const [key, build] of needed) if (!known.has(key)) { const element = build(); known.set(key, element); parent.append(element); }
  };
  const clip = (value, room) => (value.length > room ? `${value.slice(0, room - 1)}…` : value);
  // As much of a text as a step's box holds, by the letters that this browser draws.
  const ruler = document.createElement("canvas").getContext("2d");
  const within = (value, size) => {
    ruler.font = `${size}px system-ui, sans-serif`;
    const long = (text) => ruler.measureText(text).width > W - 18;
    if (!long(value)) return value;
    let [least, most] = [0, value.length];
    while (most - least > 1) { const middle = (least + most) >> 1; if (long(`${value.slice(0, middle)}…`)) most = middle; else least = middle; }
    return `${value.slice(0, least).trimEnd()}…`;
  };
  const curve = (a, b) => {
    const [x1, y1, x2, y2] = [a[0], a[1], b[0], b[1]];
    const bend = Math.max(30, Math.abs(x2 - x1) / 2);
    return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
  };
  const out = (n) => [nodes[n].at[0] + W, nodes[n].at[1] + H / 2];
  const into = (n) => [nodes[n].at[0], nodes[n].at[1] + H / 2];
  const draw = () => {
    const size = svg.getBoundingClientRect();
    if (!size.width) return;
    $("view").setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.scale})`);
    const [left, top] = [-view.x / view.scale, -view.y / view.scale];
    const [right, bottom] = [left + size.width / view.scale, top + size.height / view.scale];
    const near = view.scale >= 0.3 || nodes.length <= 200;
    const legible = view.scale >= 0.3;
    const seen = new Set();
    clusters.forEach((c, at) => {
      if (c.at[0] < right && c.at[0] + c.size[0] > left && c.at[1] < bottom && c.at[1] + c.size[1] > top) seen.add(at);
    });
    const boxes = new Map(), lines = new Map(), marks = new Map();
    for (const at of seen) {
      const room = near && !legible ? Math.round(1 / view.scale) : 1;
      boxes.set(`${at} ${near} ${room}`, () => box(at, near, room));
      if (!near) continue;
      for (const n of clusters[at].nodes) {
        const [x, y] = nodes[n].at;
        if (x < right && x + W > left && y < bottom && y + H > top) marks.set(n, () => mark(n));
        for (const e of touching[n]) if (!hub(edges[e][0]) && !hub(edges[e][1])) lines.set(e, () => line(e));
      }
    }
    if (!near) for (const [key, [from, to]] of between) if (seen.has(from) && seen.has(to) && crowd[from] <= MANY && crowd[to] <= MANY) lines.set(key, () => far(from, to));
    keep("boxes", $("boxes"), boxes);
    keep("lines", $("lines"), lines);
    keep("marks", $("marks"), marks);
    for (const [n, element] of drawn.marks) {
      element.classList.toggle("dim", !wanted.has(n));
      element.classList.toggle("chosen", n === chosen);
    }
    for (const [key, element] of drawn.lines) {
      if (typeof key !== "number") { element.classList.toggle("dim", filtered); continue; }
      const [from, to] = edges[key];
      element.classList.toggle("dim", !(wanted.has(from) && wanted.has(to)));
      element.classList.toggle("near", chosen >= 0 && (from === chosen || to === chosen));
    }
    svg.classList.toggle("tiny", !legible);
    for (const [key, element] of drawn.boxes) element.classList.toggle("dim", filtered && !clusters[parseInt(key, 10)].nodes.some((n) => wanted.has(n)));
  };
  const box = (at, near, room) => {
    const c = clusters[at];
    const rect = make("rect", { x: c.at[0], y: c.at[1], width: c.size[0], height: c.size[1] });
    const name = c.name || (near ? "" : nodes[c.nodes[0]].summary);
    // Far away a name fills its box; nearer it stands at the top, or above it when the letters have to be large.
    const size = near ? 13 * Math.min(room, 6) : Math.max(13, Math.min(c.size[1] * 0.4, (c.size[0] * 1.5) / Math.max(4, name.length)));
    const y = near ? (room > 1 ? c.at[1] - 8 : c.at[1] + 22) : c.at[1] + c.size[1] / 2;
    const label = make("text", { x: c.at[0] + 14, y, style: `font-size:${size}px` }, clip(name, Math.max(3, Math.floor((c.size[0] - 20) / (size * 0.6)))));
    const group = make("g", { class: near ? "box" : "box far" }, rect, label);
    if (!near) {
      Object.entries({ role: "button", tabindex: 0, "aria-label": `${name}: ${c.nodes.length} steps, zoom in` }).forEach(([k, v]) => group.setAttribute(k, v));
      const zoom = () => { fit(c.at[0], c.at[1], c.size[0], c.size[1]); svg.focus(); };
      group.addEventListener("click", () => { if (!moved) zoom(); });
      group.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); zoom(); } });
    }
    return group;
  };
  const mark = (n) => {
    const node = nodes[n];
    const [x, y] = node.at;
    const group = make("g", { class: `mark ${node.look}${node.critical ? " critical" : ""}`, tabindex: 0, role: "button", "data-node": node.id,
      "aria-label": `${node.summary}, ${node.operation}${node.critical ? ", on the critical path" : ""}` },
      make("rect", { x, y, width: W, height: H }),
      make("text", { x: x + 10, y: y + 19 }, within(node.summary, 12.5)),
      make("text", { x: x + 10, y: y + 36, class: "sub" }, within(node.operation, 11)),
      make("title", {}, node.summary));
    group.addEventListener("click", () => { if (!moved) open(n); });
    group.addEventListener("keydown", (event) => key(event, n));
    return group;
  };
  const line = (at) => {
    const [from, to, kind] = edges[at];
    const critical = kind === 0 && nodes[from].critical && nodes[to].critical;
    return make("path", { class: `edge${kind ? " back" : ""}${critical ? " critical" : ""}`, d: curve(out(from), into(to)) });
  };
  const far = (from, to) => {
    const [a, b] = [clusters[from], clusters[to]];
    return make("path", { class: "edge afar", d: curve([a.at[0] + a.size[0], a.at[1] + a.size[1] / 2], [b.at[0], b.at[1] + b.size[1] / 2]) });
  };
  const fit = (x, y, width, height) => {
    const size = svg.getBoundingClientRect();
    const scale = Math.min(size.width / (width + 40), size.height / (height + 40), 1.6);
    Object.assign(view, { scale, x: (size.width - width * scale) / 2 - x * scale, y: (size.height - height * scale) / 2 - y * scale });
    redraw();
  };
  const all = () => fit(0, 0, plan.size[0], plan.size[1]);
  // At first all of it, or where it begins if all of it could not be read.
  const begin = () => {
    const size = svg.getBoundingClientRect();
    const scale = Math.min(size.width / (plan.size[0] + 40), size.height / (plan.size[1] + 40));
    if (scale >= 0.6 || nodes.length > 200 || !nodes.length) return all();
    const first = nodes.map((node) => node.at).reduce((a, b) => (b[0] < a[0] ? b : a));
    const tall = plan.size[1] * 0.8 + 40 <= size.height;
    const y = tall ? (size.height - plan.size[1] * 0.8) / 2 : size.height / 2 - (first[1] + H / 2) * 0.8;
    Object.assign(view, { scale: 0.8, x: 24 - first[0] * 0.8, y });
    redraw();
  };
  const zoom = (factor, x, y) => {
    const size = svg.getBoundingClientRect();
    const [cx, cy] = [x ?? size.width / 2, y ?? size.height / 2];
    const scale = Math.min(4, Math.max(0.01, view.scale * factor));
    Object.assign(view, { x: cx - ((cx - view.x) * scale) / view.scale, y: cy - ((cy - view.y) * scale) / view.scale, scale });
    redraw();
  };
  const show = (n) => {
    const size = svg.getBoundingClientRect();
    const scale = Math.max(view.scale, 0.9);
    const [x, y] = nodes[n].at;
    Object.assign(view, { scale, x: size.width / 2 - (x + W / 2) * scale, y: size.height / 2 - (y + H / 2) * scale });
    draw();
  };
  let moved = false;
  const fingers = new Map();
  svg.addEventListener("pointerdown", (event) => { fingers.set(event.pointerId, [event.clientX, event.clientY]); if (fingers.size === 1) moved = false; });
  svg.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const here = [event.clientX, event.clientY];
    if (fingers.size === 1) {
      if (!moved && Math.hypot(here[0] - before[0], here[1] - before[1]) < 4) return;
      moved = true;
      view.x += here[0] - before[0];
      view.y += here[1] - before[1];
      redraw();
    } else {
      const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
      const apart = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]);
      const size = svg.getBoundingClientRect();
      moved = true;
      zoom(apart(here) / Math.max(1, apart(before)), (here[0] + other[0]) / 2 - size.left, (here[1] + other[1]) / 2 - size.top);
    }
    fingers.set(event.pointerId, here);
  });
  for (const name of ["pointerup", "pointercancel", "pointerleave"]) svg.addEventListener(name, (event) => fingers.delete(event.pointerId));
  svg.addEventListener("wheel", (event) => {
    event.preventDefault();
    const size = svg.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY / 400), event.clientX - size.left, event.clientY - size.top);
  }, { passive: false });
  svg.addEventListener("keydown", (event) => {
    if (event.target !== svg) return;
    const by = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
    if (by) { view.x += by[0]; view.y += by[1]; redraw(); event.preventDefault(); }
    if (event.key === "+" || event.key === "=") zoom(1.3);
    if (event.key === "-") zoom(1 / 1.3);
    if (event.key === "0") all();
  });
  const key = (event, n) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(n); return; }
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: 0, ArrowUp: 0 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const found = touching[n].map((e) => edges[e]).find((e) => e[1 - step] === n && e[step] !== n);
    if (found) { show(found[step]); drawn.marks.get(found[step])?.focus(); }
  };

  // One step.
  const open = (n) => {
    details ??= JSON.parse($("details").textContent);
    chosen = n;
    $("detail-title").textContent = nodes[n].summary;
    $("detail-id").textContent = `${nodes[n].id} · ${nodes[n].operation}${nodes[n].critical ? " · on the critical path" : ""}`;
    const link = (at) => {
      const button = make("button", { class: "link", type: "button" }, nodes[at].summary);
      button.addEventListener("click", () => { open(at); if (!$("graph").hidden) show(at); });
      return button;
    };
    const near = (title, found) => (found.length ? [make("h3", {}, title), make("p", {}, ...found.flatMap((at) => [link(at), make("br")]))] : []);
    const to = (kinds) => touching[n].map((e) => edges[e]).filter((e) => e[0] === n && kinds.includes(e[2])).map((e) => e[1]);
    const from = (kinds) => touching[n].map((e) => edges[e]).filter((e) => e[1] === n && kinds.includes(e[2])).map((e) => e[0]);
    $("detail-parts").replaceChildren(
      ...details[n].flatMap(([title, body]) => [make("h3", {}, title), make("pre", {}, body)]),
      ...near("Comes after", from([0, 2])), ...near("Comes before", to([0, 2])), ...near("Taken back by", to([1])), ...near("Takes back", from([1])));
    $("detail").hidden = false;
    $("detail").scrollTop = 0;
    $("detail").focus();
    for (const row of document.querySelectorAll(".row")) row.classList.toggle("chosen", Number(row.dataset.at) === n);
    redraw();
  };
  const close = () => {
    $("detail").hidden = true;
    const last = chosen;
    chosen = -1;
    (drawn.marks.get(last) || svg).focus();
    redraw();
  };
  $("close").addEventListener("click", close);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && !$("detail").hidden) close(); });

  // Timeline and list of steps, made when they are first looked at.
  const made = {};
  const row = (at, kind, ...children) => {
    const button = make("button", { class: `row ${kind}${nodes[at].critical ? " critical" : ""}`, "data-at": at }, ...children);
    button.addEventListener("click", () => open(at));
    return button;
  };
  const build = (id) => {
    if (made[id]) return;
    made[id] = true;
    const seconds = (s) => (s >= 120 ? `${Math.round(s / 60)} min` : `${s} s`);
    if (id === "time") {
      const part = (a, b, name) => make("i", { class: name, style: `left:${(100 * a) / plan.most}%;width:${(100 * (b - a)) / plan.most}%` });
      $("time").append(make("p", { class: "note" }, `Predicted from the limits in the plan: ${plan.time}. Full colour: as soon as possible; faint: as late as its limits allow. The critical path is the chain that can take longest.`));
      nodes.forEach((node, at) => {
        if (!node.time) return;
        const [l0, l1, m0, m1] = node.time;
        $("time").append(row(at, "", make("span", {}, node.summary, make("br"), make("small", {}, `${seconds(l0)}–${seconds(l1)}, at the latest ${seconds(m0)}–${seconds(m1)}`)),
          make("span", { class: "track" }, part(m0, m1, "most"), part(l0, l1, "least"))));
      });
    } else if (id === "steps") {
      nodes.forEach((node, at) => $("steps").append(row(at, "step", make("span", {}, node.summary, make("br"), make("small", {}, `${node.id} · ${node.operation}${back(node) ? " · way back" : ""}`)))));
    }
    lists();
  };
  const lists = () => { for (const element of document.querySelectorAll(".row")) element.hidden = !wanted.has(Number(element.dataset.at)); };
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const tab = (button) => {
    for (const other of tabs) {
      const on = other === button;
      other.setAttribute("aria-selected", on);
      other.tabIndex = on ? 0 : -1;
      $(other.getAttribute("aria-controls")).hidden = !on;
    }
    build(button.getAttribute("aria-controls"));
    redraw();
  };
  tabs.forEach((button, at) => {
    button.addEventListener("click", () => tab(button));
    button.addEventListener("keydown", (event) => {
      const next = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!next) return;
      const other = tabs[(at + next + tabs.length) % tabs.length];
      tab(other);
      other.focus();
    });
  });

  $("zoom-in").addEventListener("click", () => zoom(1.3));
  $("zoom-out").addEventListener("click", () => zoom(1 / 1.3));
  $("zoom-fit").addEventListener("click", all);
  for (const id of ["search", "component", "way"]) $(id).addEventListener("input", choose);
  $("search").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !wanted.size) return;
    const first = [...wanted][0];
    open(first);
    if (!$("graph").hidden) show(first);
  });
  $("component").addEventListener("input", () => {
    const at = clusters.findIndex((c) => c.nodes.some((n) => nodes[n].component === $("component").value));
    if (at >= 0) fit(clusters[at].at[0], clusters[at].at[1], clusters[at].size[0], clusters[at].size[1]);
  });
  addEventListener("resize", redraw);
  choose();
  begin();
  document.body.dataset.ready = "yes";
})();
