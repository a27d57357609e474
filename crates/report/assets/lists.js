// Search and filters over prompts, problems and outputs. What they look at is in the page already.
"use strict";

(() => {
  const { distinct, fill } = Report;

  /** Shows the rows that match the text field and `test`, and says how many there are. */
  function filtered(form, rows, noun, test = () => true) {
    const texts = new Map();
    // Reading the text of hundreds of rows takes a while, so it is done when somebody searches.
    const textOf = (row) => {
      if (!texts.has(row)) texts.set(row, row.textContent.toLowerCase());
      return texts.get(row);
    };
    const apply = () => {
      const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        row.hidden = !(test(row) && words.every((word) => textOf(row).includes(word)));
        if (!row.hidden) shown += 1;
      }
      form.elements.count.value = shown === rows.length ? `${shown} ${noun}` : `${shown} of ${rows.length} ${noun}`;
    };
    form.addEventListener("submit", (event) => event.preventDefault());
    // Text fields report every key as input; not every browser does so for a select.
    for (const event of ["input", "change"]) form.addEventListener(event, apply);
    apply();
  }

  /** Fills a select with what the rows have under a key, or hides it if there is no choice. */
  function choices(select, rows, key) {
    const values = distinct(rows.map((row) => row.dataset[key])).filter(Boolean);
    fill(select, values);
    select.parentElement.hidden = values.length < 2;
  }

  function prompts() {
    const form = document.getElementById("prompt-filters");
    if (!form) return;
    const rows = [...document.querySelectorAll("#prompt-list > li")];
    const { round, operator, kind, dropped } = form.elements;
    choices(round, rows, "round");
    choices(operator, rows, "operator");
    choices(dropped, rows, "dropped");
    const kinds = {
      "": () => true,
      differ: (row) => row.dataset.differ === "yes",
      several: (row) => Number(row.dataset.answers) > 1,
      kept: (row) => Number(row.dataset.kept) > 0,
      dropped: (row) => Number(row.dataset.kept) === 0,
      tree: (row) => "tree" in row.dataset,
    };
    const is = (select, value) => select.value === "" || select.value === value;
    filtered(form, rows, "prompts", (row) =>
      kinds[kind.value](row) && is(round, row.dataset.round) && is(operator, row.dataset.operator) && is(dropped, row.dataset.dropped));
  }

  /** base first, then controls, then rounds by number. */
  function inOrder(models) {
    const place = (model) => [model === "base" ? 0 : model.startsWith("control") ? 1 : 2, Number(model.match(/\d+/)?.[0] ?? 0)];
    return models.sort((a, b) => place(a)[0] - place(b)[0] || place(a)[1] - place(b)[1]);
  }

  function problems() {
    const form = document.getElementById("problem-filters");
    if (!form) return;
    const rows = [...document.querySelectorAll("#problem-list > details")];
    const right = new Map();
    for (const row of rows) {
      const articles = [...row.querySelectorAll("article")];
      right.set(row, new Map(articles.map((one) => [one.dataset.model, one.dataset.correct === "yes"])));
    }
    const models = inOrder(distinct([...right.values()].flatMap((of) => [...of.keys()])));
    const last = models[models.length - 1];
    const kinds = new Map([["", () => true]]);
    const offer = (label, test) => {
      kinds.set(label, (row) => test(right.get(row)));
      fill(form.elements.kind, [label]);
    };
    const change = (from, to) => {
      offer(`wrong in ${from}, right in ${to}`, (of) => of.get(from) === false && of.get(to) === true);
      offer(`right in ${from}, wrong in ${to}`, (of) => of.get(from) === true && of.get(to) === false);
    };
    models.slice(0, -1).forEach((from, i) => {
      change(from, last);
      if (models[i + 1] !== last) change(from, models[i + 1]);
    });
    offer("all wrong", (of) => [...of.values()].every((one) => !one));
    offer("all right", (of) => [...of.values()].every((one) => one));
    choices(form.elements.split, rows, "split");
    const { split, kind } = form.elements;
    filtered(form, rows, "problems", (row) => kinds.get(kind.value)(row) && (split.value === "" || split.value === row.dataset.split));
  }

  function provenance() {
    const form = document.getElementById("provenance-filters");
    if (form) filtered(form, [...document.querySelectorAll("#provenance-list > details")], "outputs");
  }

  prompts();
  problems();
  provenance();
})();
