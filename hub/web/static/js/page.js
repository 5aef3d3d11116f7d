// Small comforts on top of pages that work without them. No page depends on this file.
"use strict";

document.documentElement.classList.add("js");

// An open menu closes by Escape, or by a click elsewhere.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// "Select all" ticks the boxes of its form; the count beside it follows.
const TICKS = 'input[name="delivery"], input[name="voicemail"]';
function countTicked(form) {
  const ticked = [...form.querySelectorAll(TICKS)].filter((box) => box.checked).length;
  for (const place of form.querySelectorAll("[data-count]")) place.textContent = String(ticked);
  for (const button of form.querySelectorAll("[data-needs-ticked]")) button.disabled = ticked === 0;
}
document.addEventListener("change", (event) => {
  const form = event.target.form || event.target;
  if (!form.matches("form[data-selection]")) return;
  const group = event.target.dataset.ticks;
  if (group !== undefined) {
    for (const box of form.querySelectorAll(TICKS)) {
      if (group === "" || box.dataset.group === group) box.checked = event.target.checked;
    }
  }
  countTicked(form);
});

// The mapping editor: Tab indents until Escape is pressed, lines are numbered, unsaved text is asked about.
function numberLines(area, lines) {
  const count = area.value.split("\n").length;
  if (Number(lines.dataset.count) !== count) {
    lines.textContent = Array.from({ length: count }, (_, index) => index + 1).join("\n");
    lines.dataset.count = String(count);
  }
  lines.scrollTop = area.scrollTop;
}
function setUpEditor(area) {
  const lines = document.createElement("div");
  lines.className = "lines";
  lines.setAttribute("aria-hidden", "true");
  area.before(lines);
  const saved = area.dataset.saved === "no" ? null : area.value;
  let isSending = false;
  let mayIndent = true;
  const follow = () => {
    numberLines(area, lines);
    lines.style.blockSize = area.clientHeight + "px";
  };
  area.addEventListener("input", follow);
  area.addEventListener("scroll", () => { lines.scrollTop = area.scrollTop; });
  area.addEventListener("blur", () => { mayIndent = true; });
  new ResizeObserver(follow).observe(area);
  area.addEventListener("keydown", (event) => {
    if (event.key === "Escape") mayIndent = false;
    if (event.key !== "Tab" || !mayIndent || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const start = area.selectionStart;
    const lineStart = area.value.lastIndexOf("\n", start - 1) + 1;
    if (!event.shiftKey) {
      area.setRangeText("  ", start, area.selectionEnd, "end");
    } else if (area.value.startsWith("  ", lineStart)) {
      area.setRangeText("", lineStart, lineStart + 2, "preserve");
    }
    area.dispatchEvent(new Event("input", { bubbles: true }));
  });
  area.form.addEventListener("submit", () => { isSending = true; });
  window.addEventListener("beforeunload", (event) => {
    if (!isSending && saved !== null && area.value !== saved) event.preventDefault();
  });
  follow();
}

function setUp() {
  for (const form of document.querySelectorAll("form[data-selection]")) countTicked(form);
  for (const area of document.querySelectorAll("textarea[data-editor]")) setUpEditor(area);
}
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", setUp);
else setUp();

// A part that looks again by itself waits while a person is working in it.
document.addEventListener("htmx:beforeRequest", (event) => {
  const part = event.detail.elt;
  if (part.id === "deliveries" && part.contains(document.activeElement)) event.preventDefault();
});

// What was asked for comes into view where it is out of it, as on a phone.
document.addEventListener("htmx:afterSettle", (event) => {
  if (event.detail.target && event.detail.target.id === "findings") {
    const place = document.getElementById("findings");
    const top = place.getBoundingClientRect().top;
    if (top < 0 || top > window.innerHeight * 0.8) place.scrollIntoView({ block: "start" });
  }
});

// Tells whether somebody has typed or chosen something that was not sent yet.
function hasWork() {
  return [...document.querySelectorAll("main :is(input:not([type=hidden]), textarea, select)")].some((field) => {
    if (field.matches("select")) return [...field.options].some((one) => one.selected !== one.defaultSelected && one.index > 0);
    if (field.matches("[type=checkbox], [type=radio]")) return field.checked !== field.defaultChecked;
    return field.value !== field.defaultValue;
  });
}

// What htmx could not fetch is said, instead of nothing happening.
for (const name of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
  document.addEventListener(name, (event) => {
    const place = document.getElementById("failed");
    const isSignedOut = event.detail.xhr && event.detail.xhr.status === 401;
    const hasTyped = event.detail.requestConfig && event.detail.requestConfig.verb !== "get";
    const form = event.detail.elt;
    if (isSignedOut && !hasTyped && !hasWork()) window.location.reload();
    // A whole form goes as it would without scripts: through the sign-in, and from there to where it was going.
    else if (isSignedOut && form.matches('form[method="post"]')) HTMLFormElement.prototype.submit.call(form);
    else if (place) {
      place.textContent = isSignedOut ? place.dataset.signedOut : place.dataset.failed;
      place.hidden = false;
      place.scrollIntoView({ block: "nearest" });
    }
  });
}

// A page that is told of changes looks again when there is one; without the stream it looks every few seconds.
function listen() {
  const part = document.querySelector("[data-live]");
  if (!part || !window.EventSource) return;
  const stream = new EventSource(part.dataset.live);
  const note = document.querySelector("[data-live-note]");
  let seen = null;
  const look = (event) => {
    if (note) note.hidden = false;
    if (seen !== null && event.data !== seen) {
      const place = document.querySelector("[data-live]");
      if (place && !place.contains(document.activeElement)) window.htmx.trigger(place, "changed");
    }
    seen = event.data;
  };
  stream.addEventListener("ready", look);
  stream.addEventListener("changed", look);
  stream.addEventListener("error", () => { if (note) note.hidden = true; });
  window.addEventListener("pagehide", () => stream.close());
}
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", listen);
else listen();
