// Comforts of the mapping editor: pickers with labels and examples, chips, moving by Alt and arrows, unsaved work.
// The page works without it: pickers are then the browser's own lists.
"use strict";

// A picker shows the options of its datalist with label, type and example. One list serves all pickers.
const picker = { input: null, list: null, options: [], at: -1 };

function optionsOf(input) {
  const source = document.getElementById(input.dataset.list);
  return source ? [...source.options].map((one) => ({
    value: one.value, label: one.textContent, kind: one.dataset.kind || "", example: one.dataset.example || "", mark: one.dataset.mark || "",
  })) : [];
}
function part(kind, text, direction) {
  const made = document.createElement("span");
  made.className = kind;
  made.textContent = text;
  if (direction) made.dir = direction;
  return made;
}
function fits(option, words) {
  const text = `${option.value} ${option.label} ${option.kind} ${option.mark}`.toLowerCase();
  return words.every((word) => text.includes(word));
}
function closePicker() {
  if (!picker.input) return;
  picker.input.setAttribute("aria-expanded", "false");
  picker.input.removeAttribute("aria-activedescendant");
  picker.list.remove();
  picker.input = picker.list = null;
}
function choose(option) {
  const input = picker.input;
  closePicker();
  if (input.dataset.chip) {
    const area = document.getElementById(input.dataset.chip);
    area.setRangeText(`{${option.value}}`, area.selectionStart, area.selectionEnd, "end");
    input.value = "";
    area.focus();
    area.dispatchEvent(new Event("change", { bubbles: true }));
    return;
  }
  input.value = option.value;
  input.dataset.settled = option.value;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}
function mark(at) {
  const rows = picker.list.querySelectorAll("[role=option]");
  picker.at = rows.length ? (at + rows.length) % rows.length : -1;
  rows.forEach((row, place) => row.setAttribute("aria-selected", String(place === picker.at)));
  if (picker.at < 0) picker.input.removeAttribute("aria-activedescendant");
  else {
    picker.input.setAttribute("aria-activedescendant", rows[picker.at].id);
    rows[picker.at].scrollIntoView({ block: "nearest" });
  }
}
function fillPicker(isAll) {
  const words = isAll ? [] : picker.input.value.toLowerCase().split(/[\s.]+/).filter(Boolean);
  picker.options = optionsOf(picker.input).filter((one) => fits(one, words)).slice(0, 120);
  picker.list.replaceChildren(...picker.options.map((option, place) => {
    const row = document.createElement("div");
    row.id = `pick-${place}`;
    row.setAttribute("role", "option");
    row.append(part("what", option.label || option.value), part("kind", [option.kind, option.mark].filter(Boolean).join(" · ")));
    if (option.label !== option.value) row.append(part("path", option.value, "ltr"));
    if (option.example) row.append(part("example", option.example, "auto"));
    row.addEventListener("mousedown", (event) => { event.preventDefault(); choose(option); });
    return row;
  }));
  if (!picker.options.length) picker.list.append(part("none", "Nothing of this name. What you typed is kept."));
  mark(isAll ? Math.max(picker.options.findIndex((one) => one.value === picker.input.value), 0) : 0);
  if (isAll && !picker.input.value) mark(0);
}
function openPicker(input, isAll) {
  if (picker.input !== input) closePicker();
  if (!picker.input) {
    if (!optionsOf(input).length) return;
    picker.input = input;
    picker.list = document.createElement("div");
    picker.list.className = "picks";
    picker.list.id = "picks";
    picker.list.setAttribute("role", "listbox");
    picker.list.setAttribute("aria-label", input.getAttribute("aria-label") || "Choices");
    document.querySelector("main").append(picker.list);
    const box = input.getBoundingClientRect();
    const width = Math.min(Math.max(box.width, 320), window.innerWidth - 32);
    const start = Math.min(box.left, window.innerWidth - width - 16);
    const isLow = box.bottom + 310 > window.innerHeight && box.top > 310;
    picker.list.style.insetInlineStart = "auto";
    picker.list.style.left = `${start + window.scrollX}px`;
    picker.list.style.top = isLow ? "auto" : `${box.bottom + window.scrollY}px`;
    picker.list.style.width = `${width}px`;
    if (isLow) {
      picker.list.style.top = `${box.top + window.scrollY - 4}px`;
      picker.list.style.transform = "translateY(-100%)";
    }
    input.setAttribute("aria-expanded", "true");
  }
  fillPicker(isAll);
}
function setUpPicker(input) {
  input.dataset.list = input.getAttribute("list");
  input.removeAttribute("list");
  for (const [name, value] of [["role", "combobox"], ["aria-expanded", "false"], ["aria-controls", "picks"], ["aria-autocomplete", "list"]]) {
    input.setAttribute(name, value);
  }
}
document.addEventListener("input", (event) => { if (event.target.matches(".pick[role]")) openPicker(event.target, false); });
document.addEventListener("click", (event) => {
  if (event.target.matches(".pick[role]")) openPicker(event.target, true);
});
document.addEventListener("focusout", (event) => { if (event.target === picker.input) closePicker(); });
document.addEventListener("keydown", (event) => {
  const input = event.target;
  if (!input.matches || !input.matches(".pick[role]") || event.altKey) return;
  const isOpen = picker.input === input;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    if (!isOpen) openPicker(input, true);
    else mark(picker.at + (event.key === "ArrowDown" ? 1 : -1));
  } else if (event.key === "Enter") {
    event.preventDefault();
    if (isOpen && picker.at >= 0) choose(picker.options[picker.at]);
  } else if (event.key === "Escape" && isOpen) {
    event.stopPropagation();
    closePicker();
  }
});

// Alt and an arrow moves the row or step in which one is.
document.addEventListener("keydown", (event) => {
  if (!event.altKey || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return;
  const row = event.target.closest && event.target.closest("[data-row]");
  const word = event.key === "ArrowUp" ? "up" : "down";
  const button = row && row.querySelector(`button[name="do"][value="${word}:${row.id}"]`);
  if (!button) return;
  event.preventDefault();
  closePicker();
  button.click();
});

// Fields that are not mapped yet are found by name, label and type.
document.addEventListener("input", (event) => {
  if (!event.target.dataset.searches) return;
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of document.getElementById(event.target.dataset.searches).children) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.dataset && event.target.dataset.searches) event.preventDefault();
});

// A chip of a text is found in it, and marked, so that the next key takes it out or the picker puts another there.
document.addEventListener("click", (event) => {
  const chip = event.target.closest("[data-find]");
  const area = chip && document.getElementById(chip.dataset.in);
  const at = area ? area.value.indexOf(chip.dataset.find) : -1;
  if (at < 0) return;
  area.focus();
  area.setSelectionRange(at, at + chip.dataset.find.length);
});

// Which parts are open survives when the form is shown anew.
const open = new Set();
document.addEventListener("toggle", (event) => {
  const row = event.target.closest && event.target.closest("[id]");
  if (!row || event.target.tagName !== "DETAILS") return;
  if (event.target.open) open.add(row.id);
  else open.delete(row.id);
}, true);
function openAgain() {
  for (const id of open) {
    const row = document.getElementById(id);
    const part = row && (row.tagName === "DETAILS" ? row : row.querySelector("details"));
    if (part) part.open = true;
  }
}

// Unsaved work is kept in this browser: what stands in the form, never what a voicemail said.
const PREFIX = "afterbeep mapping ";
const LEFT_OUT = new Set(["csrf", "event", "latest", "do", "base_version", "shown"]);
const theForm = () => document.getElementById("mapping");
const keyOf = (form) => `${PREFIX}${form.dataset.draftKey} `;
function kept(form) {
  try {
    return Object.keys(window.localStorage).filter((key) => key.startsWith(keyOf(form)));
  } catch { return []; }
}
function throwAway(form) {
  for (const key of kept(form)) window.localStorage.removeItem(key);
}
const fieldsOf = (form) => [...new FormData(form)].filter(([name, value]) => !LEFT_OUT.has(name) && typeof value === "string");
// What stood in the form when the page was opened, or null where it came back unsaved.
let opened = null;
function keep(form) {
  const fields = fieldsOf(form);
  try {
    if (JSON.stringify(fields) === opened) {
      window.localStorage.removeItem(`${keyOf(form)}${form.dataset.draftVersion}`);
      return;
    }
    window.localStorage.setItem(`${keyOf(form)}${form.dataset.draftVersion}`, JSON.stringify({ at: Date.now(), fields }));
  } catch { /* a full or closed store keeps nothing */ }
}
let waiting = 0;
function keepSoon(event) {
  const form = theForm();
  if (!form || !form.contains(event.target) || event.target.dataset.searches !== undefined || event.target.id === "event" || event.target.id === "latest") return;
  window.clearTimeout(waiting);
  waiting = window.setTimeout(() => { if (theForm()) keep(theForm()); }, 250);
}
document.addEventListener("input", keepSoon);
document.addEventListener("change", keepSoon);

function bringBack(form, fields) {
  const made = document.createElement("form");
  made.method = "post";
  made.action = form.action;
  made.hidden = true;
  for (const [name, value] of [...fields, ["csrf", form.elements.csrf.value], ["do", "check"]]) {
    const field = document.createElement("textarea");
    field.name = name;
    field.value = value;
    made.append(field);
  }
  document.body.append(made);
  made.submit();
}
function offerBack(form) {
  const place = document.getElementById("unsaved");
  if (form.hasAttribute("data-draft-saved")) throwAway(form);
  if (form.hasAttribute("data-changed") || !place) return;
  const key = kept(form).pop();
  if (!key) return;
  let draft;
  try { draft = JSON.parse(window.localStorage.getItem(key)); } catch { return; }
  const when = new Date(draft.at);
  place.querySelector("[data-when]").textContent = `, from ${when.toLocaleDateString()} at ${when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}`;
  place.hidden = false;
  place.addEventListener("click", (event) => {
    if (event.target.dataset.draft === "back") bringBack(form, draft.fields);
    if (event.target.dataset.draft === "away") { throwAway(form); place.hidden = true; }
  });
}

function prepare() {
  for (const input of document.querySelectorAll(".pick[list]")) setUpPicker(input);
  openAgain();
}
function begin() {
  prepare();
  const form = theForm();
  if (!form) return;
  if (!form.hasAttribute("data-changed")) opened = JSON.stringify(fieldsOf(form));
  offerBack(form);
}
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target && event.detail.target.id === "mapping") closePicker();
});
window.addEventListener("resize", closePicker);
// What is typed while the form is on its way is put into the form that comes back.
let sent = null;
const typedIn = (form) => [...form.elements].filter((one) => one.name && one.type !== "hidden" && one.type !== "checkbox" && one.tagName !== "BUTTON").map((one) => [one.name, one.value]);
document.addEventListener("htmx:beforeRequest", (event) => {
  const word = event.detail.requestConfig.parameters.do;
  const keepsPlaces = word === "show" || word === "check" || word === "refresh";
  if (event.detail.target.id === "mapping") sent = keepsPlaces ? typedIn(theForm()) : null;
});
let late = [];
document.addEventListener("htmx:beforeSwap", (event) => {
  if (!event.detail.target || event.detail.target.id !== "mapping") return;
  const now = typedIn(theForm());
  late = sent && sent.length === now.length ? now.map(([name, value], at) => [name, value, at]).filter(([name, value, at]) => sent[at][0] === name && sent[at][1] !== value) : [];
});
function putBack() {
  for (const [name, value] of late.splice(0)) {
    const place = document.querySelector(`#mapping [name="${CSS.escape(name)}"]`);
    if (!place) continue;
    place.value = value;
    place.dispatchEvent(new Event(place === document.activeElement ? "input" : "change", { bubbles: true }));
  }
}
document.addEventListener("htmx:afterSettle", (event) => {
  prepare();
  putBack();
  const form = theForm();
  if (form && event.detail.target && event.detail.target.id === "mapping") keep(form);
});
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
else begin();
