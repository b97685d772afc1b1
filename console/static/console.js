// What the pages gain with script: live updates, values under the pointer, zoom, keys. Without it they are complete.
(() => {
  "use strict";
  const $ = (s, root = document) => root.querySelector(s), $$ = (s, root = document) => [...root.querySelectorAll(s)];
  const body = document.body, svgNS = "http://www.w3.org/2000/svg";
  const store = {
    get: k => { try { return localStorage.getItem("anyu-" + k); } catch { return null; } },
    set: (k, v) => { try { localStorage.setItem("anyu-" + k, v); } catch { /* private window */ } },
  };

  // --- live: the server sends parts of the page, which are put in the place of the old ones without losing focus
  const ageBox = $(".age"), pause = $("#pause");
  let at = Number(body.dataset.at), source = null, paused = store.get("paused") === "1", pressed = false;
  // While a button is down nothing is replaced: a click whose press and release meet different elements is lost.
  for (const [name, value] of [["pointerdown", true], ["pointerup", false], ["pointercancel", false]]) addEventListener(name, () => { pressed = value; }, true);

  const morph = (old, fresh) => {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) { old.replaceWith(fresh); return; }
    if (old.nodeType !== 1) { if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue; return; }
    if (old.isEqualNode(fresh)) return;
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    const was = [...old.childNodes].filter(n => !(n.dataset && "own" in n.dataset)), will = [...fresh.childNodes];
    will.forEach((n, i) => was[i] ? morph(was[i], n) : old.append(n));
    was.slice(will.length).forEach(n => n.remove());
  };
  const put = ({ id, html }) => {
    const place = document.getElementById(id);
    if (!place) return;
    const fresh = place.cloneNode(false);
    fresh.innerHTML = html;
    morph(place, fresh);
    const plot = $("svg.x", place);
    if (plot && plot === reading.plot) reading.show();
    const data = place.parentElement && $("details.data[open]", place.parentElement);
    if (plot && data) tabulate(plot, data);
  };
  const listen = () => {
    if (source || paused || !body.dataset.live || document.hidden) return;
    const address = new URL(body.dataset.live, location);
    source = new EventSource("/live" + address.search);
    source.onmessage = e => {
      if (paused || pressed) return;
      const u = JSON.parse(e.data);
      at = u.at;
      u.parts.forEach(put);
      const t = $("time", ageBox), d = new Date((at + offset) * 1000).toISOString();
      t.dateTime = new Date(at * 1000).toISOString();
      t.textContent = d.slice(11, 19);
    };
  };
  const stop = () => { if (source) { source.close(); source = null; } };
  const offset = (() => { // of the page's clock, which need not be the browser's
    const m = /UTC([+-])(\d\d):(\d\d)/.exec((ageBox && $("small", ageBox)?.textContent) || "");
    return m ? (m[1] === "-" ? -1 : 1) * (m[2] * 3600 + m[3] * 60) : 0;
  })();
  const showPause = () => {
    pause.textContent = paused ? pause.dataset.go : pause.dataset.pause;
    pause.setAttribute("aria-pressed", paused);
    body.dataset.paused = paused;
  };
  const setPaused = p => { paused = p; store.set("paused", p ? "1" : "0"); showPause(); paused ? stop() : listen(); say(pause.textContent); };
  if (body.dataset.live && pause) {
    pause.hidden = false;
    pause.addEventListener("click", () => setPaused(!paused));
    showPause();
    listen();
    document.addEventListener("visibilitychange", () => document.hidden ? stop() : listen());
    addEventListener("pagehide", stop);
  }
  if (body.dataset.moving === "true" && ageBox) setInterval(() => {
    ageBox.classList.toggle("old", Date.now() / 1000 - at > 5);
  }, 1000);
  const say = text => { $("#said").textContent = text; };

  // --- units, as the server writes them
  const unknown = "\u2013", thin = "\u202f";
  const digits = v => {
    const a = Math.abs(v), whole = a === Math.trunc(a);
    return v.toLocaleString("en-US", { minimumFractionDigits: whole ? 0 : a < 0.995 ? 2 : a < 99.95 ? 1 : 0, maximumFractionDigits: whole ? 0 : a < 0.995 ? 2 : a < 99.95 ? 1 : 0 });
  };
  const scaled = (v, unit) => {
    for (const [from, by, p] of [[1e13, 1e12, "T"], [1e10, 1e9, "G"], [1e7, 1e6, "M"], [1e4, 1e3, "k"]]) if (Math.abs(v) >= from * 0.99995) return digits(v / by) + thin + p + unit;
    return digits(v) + (unit ? thin + unit : "");
  };
  const write = (v, unit) => {
    if (v === "" || v === undefined) return unknown;
    v = Number(v);
    switch (unit) {
      case "rate": return scaled(v, "/s");
      case "bytes": return scaled(v, "B");
      case "ratio": return (v === 0 || v === 1 ? v * 100 : v > 0.99 ? (Math.floor(v * 1e5) / 1e3).toFixed(3) : v < 0.0095 ? (v * 100).toFixed(2) : (v * 100).toFixed(1)) + thin + "%";
      case "seconds": return v === 0 ? "0" + thin + "ms" : v < 1e-6 ? digits(v * 1e9) + thin + "ns" : v < 1e-3 ? digits(v * 1e6) + thin + "µs" : v < 1 ? digits(v * 1e3) + thin + "ms" : digits(v) + thin + "s";
    }
    return scaled(v, "");
  };

  // --- charts: values under the pointer, drag to zoom, click to see what is behind
  const wall = s => new Date((s + offset) * 1000).toISOString();
  const clock = (s, plot) => plot.dataset.step * plot.dataset.steps > 43200 ? wall(s).slice(5, 16).replace("T", " ") : wall(s).slice(11, 19);
  const lines = plot => $$("path[data-v]", plot).map(p => ({ name: p.dataset.name, v: p.dataset.v.split(",") }));
  const reading = { plot: null, i: -1, x: 0,
    show() {
      const { plot, i } = this;
      if (!plot) return;
      const n = Number(plot.dataset.steps), percent = 100 * (i + 0.5) / n + "%";
      for (const other of $$("svg.x")) { // all charts of a page have one time axis
        if (other.dataset.from !== plot.dataset.from || other.dataset.steps !== plot.dataset.steps) continue;
        let cross = $("line.cross", other);
        if (!cross) {
          cross = document.createElementNS(svgNS, "line");
          cross.setAttribute("class", "cross"); cross.dataset.own = "";
          cross.setAttribute("y2", $("svg.lines", other)?.getAttribute("height") ?? 0);
          other.append(cross);
        }
        cross.setAttribute("x1", percent); cross.setAttribute("x2", percent);
        const out = $(".readout", other.closest(".chart")), all = lines(other);
        out.textContent = clock(Number(other.dataset.from) + i * other.dataset.step, other) + "  " +
          all.map(l => (all.length > 1 ? l.name + " " : "") + write(l.v[i], other.dataset.unit)).join("  ");
      }
    },
    hide() { this.plot = null; $$("line.cross").forEach(c => c.remove()); $$(".readout").forEach(r => { r.textContent = ""; }); },
  };
  const stepAt = (plot, clientX) => {
    const box = plot.getBoundingClientRect(), n = Number(plot.dataset.steps);
    return Math.min(n - 1, Math.max(0, Math.floor((clientX - box.left) / box.width * n)));
  };
  const moment = (plot, i) => new Date((Number(plot.dataset.from) + i * plot.dataset.step) * 1000).toISOString().replace(".000Z", "Z");
  const open = (plot, from, to) => {
    const address = new URL($("h3 a", plot.closest(".chart")).href);
    address.searchParams.delete("last");
    address.searchParams.set("from", moment(plot, from)); address.searchParams.set("to", moment(plot, to));
    location.assign(address);
  };
  const zoom = (plot, from, to) => {
    const address = new URL(location);
    ["last", "lang", "theme", "page", "before"].forEach(k => address.searchParams.delete(k));
    const short = 60 / plot.dataset.step - (to - from); // a page shows a minute at least
    if (short > 0) from -= Math.ceil(short);
    address.searchParams.set("from", moment(plot, from)); address.searchParams.set("to", moment(plot, to));
    if (address.pathname.startsWith("/findings/")) address.pathname = "/";
    location.assign(address);
  };
  let drag = null;
  document.addEventListener("pointermove", e => {
    const plot = e.target.closest?.("svg.x") || drag?.plot;
    if (!plot) { if (reading.plot && document.activeElement !== reading.plot) reading.hide(); return; }
    reading.plot = plot; reading.i = stepAt(plot, e.clientX); reading.show();
    if (drag) {
      drag.to = reading.i;
      const n = Number(drag.plot.dataset.steps), a = Math.min(drag.from, drag.to), b = Math.max(drag.from, drag.to) + 1;
      drag.moved ||= Math.abs(e.clientX - drag.x) > 5;
      drag.box.setAttribute("x", 100 * a / n + "%"); drag.box.setAttribute("width", drag.moved ? 100 * (b - a) / n + "%" : "0");
    }
  });
  document.addEventListener("pointerdown", e => {
    const plot = e.target.closest?.("svg.x");
    if (!plot || e.button !== 0 || e.target.closest(".mark")) return;
    e.preventDefault();
    plot.focus({ preventScroll: true });
    const box = document.createElementNS(svgNS, "rect");
    box.setAttribute("class", "chosen"); box.setAttribute("height", $("svg.lines", plot).getAttribute("height")); box.setAttribute("width", "0"); box.dataset.own = "";
    plot.append(box);
    drag = { plot, box, x: e.clientX, from: stepAt(plot, e.clientX), to: stepAt(plot, e.clientX), moved: false };
  });
  document.addEventListener("pointerup", () => {
    if (!drag) return;
    const { plot, box, from, to, moved } = drag;
    drag = null; box.remove();
    if (moved) zoom(plot, Math.min(from, to), Math.max(from, to) + 1);
    else open(plot, from, from + 1);
  });
  document.addEventListener("pointercancel", () => { drag?.box.remove(); drag = null; });
  document.addEventListener("click", e => { // the pieces' own links are for pages without script
    if (e.target.closest?.("svg.x a") && !e.target.closest(".mark")) e.preventDefault();
  });
  document.addEventListener("focusout", e => { if (e.target.matches?.("svg.x")) reading.hide(); });
  const chartKey = (plot, e) => {
    const n = Number(plot.dataset.steps);
    if (reading.plot !== plot) { reading.plot = plot; reading.i = n - 1; } else switch (e.key) {
      case "ArrowLeft": reading.i = Math.max(0, reading.i - (e.shiftKey ? 10 : 1)); break;
      case "ArrowRight": reading.i = Math.min(n - 1, reading.i + (e.shiftKey ? 10 : 1)); break;
      case "Home": reading.i = 0; break;
      case "End": reading.i = n - 1; break;
      case "Enter": open(plot, reading.i, reading.i + 1); return true;
      default: return false;
    }
    reading.show();
    say($(".readout", plot.closest(".chart")).textContent);
    return true;
  };
  const tabulate = (plot, data) => { // an open table follows the live chart
    const all = lines(plot), rows = [], bodyOf = $("tbody", data);
    for (let i = 0; i < plot.dataset.steps; i++) if (all.some(l => l.v[i] !== "" && l.v[i] !== undefined)) {
      const tr = document.createElement("tr"), th = document.createElement("th");
      th.textContent = clock(Number(plot.dataset.from) + i * plot.dataset.step, plot);
      tr.append(th, ...all.map(l => { const td = document.createElement("td"); td.textContent = write(l.v[i], plot.dataset.unit); return td; }));
      rows.push(tr);
    }
    bodyOf.replaceChildren(...rows);
  };

  // --- keys
  let waiting = "", row = -1;
  const step = by => {
    const rows = $$("main tbody tr, main .found li").filter(r => r.offsetParent && !r.closest(".values"));
    if (!rows.length) return;
    rows[row]?.classList.remove("at");
    row = Math.min(rows.length - 1, Math.max(0, row + by));
    rows[row].classList.add("at");
    rows[row].scrollIntoView({ block: "nearest" });
    (($("th a, .name, a", rows[row])) || rows[row]).focus();
  };
  document.addEventListener("keydown", e => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
    const field = e.target.closest?.("input, select, textarea, [contenteditable]");
    if (e.key === "Escape") { if (field) field.blur(); const open = $(".range[open]"); if (open) { open.open = false; $("summary", open).focus(); } return; }
    if (field) return;
    if (e.target.matches?.("svg.x") && ["ArrowLeft", "ArrowRight", "Home", "End", "Enter"].includes(e.key)) { if (chartKey(e.target, e)) e.preventDefault(); return; }
    if (e.key === "!") { store.set("keys", store.get("keys") === "off" ? "on" : "off"); say(store.get("keys")); return; }
    if (store.get("keys") === "off") return;
    if (waiting === "g") {
      waiting = "";
      const to = $(`nav a[data-key="${CSS.escape(e.key)}"]`);
      if (to) { e.preventDefault(); location.assign(to.href); }
      return;
    }
    switch (e.key) {
      case "g": waiting = "g"; setTimeout(() => { waiting = ""; }, 1500); return;
      case "/": { const f = $(".filter input:not([type=hidden])"); if (f) { e.preventDefault(); f.focus(); f.select(); } else { location.assign($('nav a[data-key="l"]').href); } return; }
      case "t": { const r = $("#range"); if (r) { e.preventDefault(); r.open = true; $("a, input", $(".sheet", r)).focus(); } return; }
      case "p": if (pause && !pause.hidden) setPaused(!paused); return;
      case "j": step(1); return;
      case "k": step(-1); return;
      case "?": e.preventDefault(); $("#help")?.showModal(); return;
    }
  });
  document.addEventListener("click", e => { for (const r of $$(".range[open]")) if (!r.contains(e.target)) r.open = false; });
  for (const a of $$('footer a[href$="#keys"]')) a.addEventListener("click", e => { e.preventDefault(); $("#help").showModal(); });
})();
