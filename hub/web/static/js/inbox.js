// Keys of the inbox, and the player in step with the transcript. The pages work without this file.
"use strict";
(() => {
  const OFF = "afterbeep.keys.off";
  const areOff = () => {
    try { return window.localStorage.getItem(OFF) === "yes"; } catch { return false; }
  };
  const rows = () => [...document.querySelectorAll("[data-row]")];
  const link = (row) => row.querySelector(".title a");
  const here = () => rows().find((row) => row.contains(document.activeElement));

  function step(by) {
    const all = rows();
    if (!all.length) return;
    const place = all.indexOf(here());
    const next = place < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(place + by, 0), all.length - 1);
    link(all[next]).focus();
    all[next].scrollIntoView({ block: "nearest" });
  }
  function tick() {
    const box = here()?.querySelector('input[name="voicemail"]');
    if (!box) return;
    box.checked = !box.checked;
    box.dispatchEvent(new Event("change", { bubbles: true }));
  }
  function showKeys() {
    const dialog = document.getElementById("keys");
    if (!dialog || dialog.open) return;
    dialog.querySelector("[data-keys-off]").checked = areOff();
    dialog.showModal();
  }
  const KEYS = {
    j: () => step(1),
    k: () => step(-1),
    x: tick,
    "/": () => document.getElementById("search")?.focus(),
    u: () => document.querySelector("a.back")?.click(),
    "?": showKeys,
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
    if (event.target.closest("input:not([type=checkbox]), textarea, select, dialog, [contenteditable]")) return;
    if (!document.querySelector("[data-row], [data-transcript], #search")) return;
    const act = Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : null;
    if (!act || (areOff() && event.key !== "?")) return;
    event.preventDefault();
    act();
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-keys]")) showKeys();
  });
  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-keys-off]")) return;
    try { window.localStorage.setItem(OFF, event.target.checked ? "yes" : "no"); } catch { /* it holds until the next page */ }
  });

  // A time in the transcript plays the call from there; the line that is heard is marked.
  function follow(player) {
    const lines = [...document.querySelectorAll("[data-start]")];
    const mark = () => {
      let spoken = null;
      for (const line of lines) {
        const end = line.dataset.end ? Number(line.dataset.end) : Infinity;
        if (player.currentTime >= Number(line.dataset.start) - 0.05 && player.currentTime < end) spoken = line;
      }
      for (const line of lines) line.classList.toggle("spoken", line === spoken);
    };
    player.addEventListener("timeupdate", mark);
    player.addEventListener("seeked", mark);
    player.addEventListener("ended", () => lines.forEach((line) => line.classList.remove("spoken")));
    document.addEventListener("click", (event) => {
      const place = event.target.closest("[data-seek]");
      if (!place || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      const go = () => {
        player.currentTime = Number(place.dataset.seek);
        player.play().catch(() => {});
      };
      if (player.readyState > 0) go();
      else {
        player.addEventListener("loadedmetadata", go, { once: true });
        player.preload = "metadata";
        player.load();
      }
    });
  }
  function setUp() {
    const player = document.querySelector("audio.player");
    if (player) follow(player);
    for (const button of document.querySelectorAll("[data-copy]")) {
      button.hidden = !navigator.clipboard;
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).value);
        button.textContent = button.dataset.copied;
      });
    }
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", setUp);
  else setUp();
  // What htmx puts in is counted like what was there.
  document.addEventListener("htmx:afterSettle", () => {
    for (const form of document.querySelectorAll("form[data-selection]")) form.dispatchEvent(new Event("change", { bubbles: true }));
  });
})();
