// What the other scripts share. Texts of the page come from a language model, so they are only ever set as text.
"use strict";

const Report = {
  data: JSON.parse(document.getElementById("data").textContent || "{}"),

  /** An element with attributes and children. Strings become text; null and false attributes are left out. */
  el(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  },

  /** A number with some decimals, or a dash if there is none. */
  number(x, digits = 0) {
    return typeof x === "number" && Number.isFinite(x) ? x.toFixed(digits) : "–";
  },

  /** Anything as text, or a dash. */
  text(x) {
    return x === null || x === undefined || x === "" ? "–" : String(x);
  },

  /** The values in the order of their first occurrence, each once. */
  distinct(values) {
    return [...new Set(values)];
  },

  /** Adds options to a select. */
  fill(select, values) {
    for (const value of values) select.append(Report.el("option", { value }, value));
  },

  /** The colour that a variable of the style sheet has now. */
  colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  },

  /** What the address names behind its #. One that somebody has cut may end in the middle of a character. */
  target() {
    const hash = location.hash.slice(1);
    try {
      return decodeURIComponent(hash);
    } catch {
      return hash;
    }
  },
};

(() => {
  // A link to an output opens it: a closed <details> as a target would show its title only.
  function openTarget() {
    const id = Report.target();
    const target = id && document.getElementById(id);
    if (target && target.tagName === "DETAILS") {
      target.hidden = false;
      target.open = true;
    }
  }

  // Marks the section that is being read in the list of sections.
  function followReading() {
    const links = new Map();
    for (const link of document.querySelectorAll(".contents a")) links.set(link.hash.slice(1), link);
    const observer = new IntersectionObserver(
      (entries) => {
        for (const entry of entries) {
          const link = links.get(entry.target.id);
          if (!entry.isIntersecting || !link) continue;
          for (const other of links.values()) other.removeAttribute("aria-current");
          link.setAttribute("aria-current", "true");
        }
      },
      // A thin band near the top, which holds one section at a time.
      { rootMargin: "-10% 0px -85% 0px" },
    );
    for (const section of document.querySelectorAll("main > section")) observer.observe(section);
  }

  window.addEventListener("hashchange", openTarget);
  openTarget();
  followReading();
})();
