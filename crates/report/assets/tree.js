// The tree viewer: an indented tree, the details of a node, playback of the search, the solutions and what rules pick.
"use strict";

(() => {
  const { el, number, text, distinct } = Report;
  const viewer = document.getElementById("viewer");
  const list = document.getElementById("prompt-list");
  if (!viewer || !list) return;

  const scores = ["q", "value", "prm", "orm", "importance"];
  const titles = { q: "Q", value: "Value", prm: "PRM", orm: "ORM", importance: "Importance" };
  /** How a decoder picks an answer from a tree. */
  const rule = (decoder, { vote_likelihood: power }) => ({
    "mcts-vote": `the answer with the largest sum of ORM scores${power ? `, each times the policy's probability of its solution to the power ${power}` : ""}`,
    "mcts-greedy": "from the root, always the child with the best Q",
    "mcts-global": "the leaf with the best Q",
    "mcts-rerank": "the solution with the highest ORM score",
  })[decoder];

  let current = null; // The open viewer: {stop}

  // ---- The tree as objects -------------------------------------------------------------------------------------------

  /** Reads the rows of a tree. A node gets its children, its place on the screen and its solutions. */
  function read(json) {
    const nodes = json.nodes.map((row) => Object.fromEntries(json.columns.map((name, i) => [name, row[i]])));
    const byId = new Map();
    nodes.forEach((node, i) => {
      byId.set(node.node_id, node);
      Object.assign(node, { number: i + 1, children: [], solutions: [], open: true, parent: null });
    });
    for (const node of nodes) {
      node.parent = node.parent_id === null ? null : byId.get(node.parent_id) || null;
      if (node.parent) node.parent.children.push(node);
    }
    const solutions = json.solutions || [];
    for (const solution of solutions) byId.get(solution.leaf_id)?.solutions.push(solution);
    return { json, nodes, byId, solutions, order: inOrder(nodes), ends: endsOf(nodes) };
  }

  /** The node at which each simulation ended. Every node is told in which simulation it was `born`; the root was there before. */
  function endsOf(nodes) {
    const ends = [];
    for (const node of nodes) for (const simulation of node.simulations) ends[simulation] = node;
    // A node that no simulation reached is there at the end. Children follow their parents, so this goes up.
    for (const node of [...nodes].reverse()) {
      const first = node.simulations.length > 0 ? node.simulations[0] : ends.length - 1;
      node.born = node.parent ? Math.min(first, ...node.children.map((child) => child.born)) : -1;
    }
    return ends;
  }

  /** Gives every node the visits and the Q that it had after so many simulations, as `now`. */
  function rewind(tree, simulations) {
    for (const node of tree.nodes) node.now = { visits: 0, total: 0 };
    for (const end of tree.ends.slice(0, simulations)) {
      for (let node = end; node; node = node.parent) {
        node.now.visits += 1;
        node.now.total += end.score;
      }
    }
    for (const node of tree.nodes) {
      // At the end these are the search's own, without the rounding of the returns.
      if (simulations >= tree.ends.length) node.now = { visits: node.visits, q: node.q };
      else node.now.q = node.now.visits > 0 ? node.now.total / node.now.visits : null;
    }
  }

  /** Depth first, children in the order in which they were made. A stack, since a chain may be long. */
  function inOrder(nodes) {
    const order = [];
    const stack = nodes.filter((node) => !node.parent).reverse();
    for (const root of stack) root.level = 0;
    while (stack.length > 0) {
      const node = stack.pop();
      order.push(node);
      for (const child of [...node.children].reverse()) {
        child.level = node.level + 1;
        stack.push(child);
      }
    }
    return order;
  }

  function pathTo(node) {
    const path = [];
    for (let at = node; at; at = at.parent) path.unshift(at);
    return path;
  }

  /** From the root, always the child with the best Q, as long as there is one with a Q. */
  function bestPath(tree) {
    const path = [];
    let at = tree.order[0];
    while (at) {
      path.push(at);
      at = at.children.filter((child) => child.now.visits > 0).reduce((best, child) => (best && best.now.q >= child.now.q ? best : child), null);
    }
    return path;
  }

  // ---- Pieces of the page --------------------------------------------------------------------------------------------

  const label = (node) => (node.parent ? node.text.trim() || "(blank)" : "The question");

  function meter(share, figure) {
    const fill = el("span", { class: "fill" });
    fill.style.width = `${Math.max(0, Math.min(1, share || 0)) * 100}%`;
    return el("span", { class: "meter" }, fill, el("span", { class: "figure" }, figure));
  }

  const failed = (solution) => (solution.checks || []).filter((check) => !check.ok).length;

  function findings(solution) {
    const checks = solution.checks || [];
    if (checks.length === 0) return "nothing to check";
    return failed(solution) === 0 ? `${checks.length} right` : `${failed(solution)} of ${checks.length} wrong`;
  }

  function fate(solution) {
    return solution.kept ? "kept" : `dropped${solution.why ? `: ${solution.why}` : ""}`;
  }

  function badges(node) {
    const out = [];
    const [first, ...more] = node.solutions;
    if (first) {
      out.push(el("span", {}, "answer ", el("bdi", {}, text(first.answer)), more.length > 0 ? ` and ${more.length} more` : ""));
      const kept = node.solutions.some((solution) => solution.kept);
      out.push(el("span", { class: kept ? "good" : "bad" }, kept ? "kept" : "dropped"));
    } else if (node.terminal) out.push(el("span", {}, "end"));
    if (node.merged > 0) out.push(el("span", {}, `+${node.merged} merged`));
    return out;
  }

  function spoken(node) {
    const parts = [label(node), `${node.now.visits} visits`, `Q ${number(node.now.q, 2)}`];
    for (const solution of node.solutions) parts.push(`answer ${text(solution.answer)}, ${solution.kept ? "kept" : "dropped"}`);
    if (node.merged > 0) parts.push(`${node.merged} merged`);
    return parts.join(". ");
  }

  /** A table whose first column heads its rows; `numeric` has the places of the columns with figures. */
  function table(label, head, rows, numeric = []) {
    const kind = (column) => (numeric.includes(column) ? "n" : null);
    return el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": label },
      el("table", {},
        el("thead", {}, el("tr", {}, ...head.map((cell, i) => el("th", { scope: "col", class: kind(i) }, cell)))),
        el("tbody", {}, ...rows.map(([first, ...cells]) =>
          el("tr", {}, el("th", { scope: "row", class: kind(0) }, first), ...cells.map((cell, i) => el("td", { class: kind(i + 1) }, cell)))))));
  }

  function checkTable(solution) {
    return table("Calculator findings", ["Expression", "Claimed", "Computed", ""],
      solution.checks.map((check) => [el("code", {}, check.expression), text(check.claimed), text(check.computed),
        el("span", { class: check.ok ? "good" : "bad" }, check.ok ? "right" : "wrong")]));
  }

  function solutionDetails(solution) {
    const parts = [
      el("h4", {}, "Solution: ", el("bdi", {}, text(solution.answer)), ", ",
        el("span", { class: solution.kept ? "good" : "bad" }, fate(solution))),
      el("p", { class: "facts" }, ...["decoder", "rank"].map((key) => el("span", {}, `${key} ${text(solution[key])}`)),
        ...["score", "value", "orm", "agreement"].map((key) => el("span", {}, `${key === "orm" ? "ORM" : key} ${number(solution[key], 3)}`))),
    ];
    if (solution.text) parts.push(el("pre", {}, solution.text));
    if ((solution.checks || []).length > 0) parts.push(checkTable(solution));
    else parts.push(el("p", {}, "The calculator found nothing to check."));
    return parts;
  }

  function nodeDetails(node, count) {
    const later = (now, end) => (now === end ? now : `${now}, ${end} at the end`);
    const critics = scores.filter((key) => key !== "q").map((key) => [titles[key], number(node[key], 3)]);
    const facts = [
      ["Node", `${node.node_id}, made as number ${node.number} of ${count}`], ["Depth", text(node.depth)],
      ["Visits", later(text(node.now.visits), text(node.visits))], ["Q", later(number(node.now.q, 3), number(node.q, 3))],
      ["Own return", number(node.score, 3)], ...critics,
      ["Rollouts", text(node.rollouts)], ["Width", text(node.width)], ["Children", String(node.children.length)],
      ["Merged", text(node.merged)], ["Tokens", text(node.tokens)], ["Log-probability", number(node.logprob, 2)],
      ["Complete", node.terminal ? "yes" : "no"], ["Option ended by", text(node.stop_reason)],
    ];
    const steps = pathTo(node).slice(1).map((one) => one.text.trimEnd()).join("\n");
    return [
      el("h4", {}, node.parent ? "Option" : "Root"),
      el("pre", {}, node.parent ? node.text : "The question alone, before the first option."),
      ...node.solutions.flatMap(solutionDetails),
      el("h4", {}, "Figures"),
      el("dl", {}, ...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
      ...(steps ? [el("h4", {}, "The solution up to here"), el("pre", {}, steps)] : []),
    ];
  }

  // ---- The viewer ----------------------------------------------------------------------------------------------------

  function show(id, json) {
    const tree = read(json);
    const last = tree.ends.length;
    const state = { step: last, selected: null, score: "q", range: [0, 1], timer: null };
    const most = Math.max(1, ...tree.nodes.map((node) => node.visits || 0));
    const box = el("div", { class: "tree", role: "tree", "aria-label": "Search tree" });
    const detail = el("div", { class: "detail", role: "region", "aria-label": "Selected node", tabindex: "0" });

    const bornBy = (node) => node.children.filter((child) => child.born < state.step);

    function makeRow(node) {
      node.twisty = el("span", { class: "twisty", "aria-hidden": "true" });
      node.meters = [el("span"), el("span")];
      const siblings = node.parent ? node.parent.children : [node];
      node.row = el("div", {
        class: "node", role: "treeitem", tabindex: "-1", "aria-selected": "false", "aria-level": node.level + 1,
        "aria-setsize": siblings.length, "aria-posinset": siblings.indexOf(node) + 1,
      },
      el("span", { class: "text" }, node.twisty, el("bdi", { class: "label" }, label(node))),
      el("span", { class: "badges" }, ...badges(node)), ...node.meters);
      node.row.style.setProperty("--level", node.level);
      node.row.node = node;
      return node.row;
    }

    /** Chooses the score in the bars. */
    function scale(key) {
      // A mean of returns is between them, at any time.
      const known = tree.nodes.map((node) => node[key === "q" ? "score" : key]).filter(Number.isFinite);
      Object.assign(state, { score: key, range: [Math.min(0, ...known), Math.max(1e-9, ...known)] });
      scoreTitle.textContent = titles[key];
    }

    /** Draws what has changed of a node's figures. */
    function draw(node) {
      const [low, high] = state.range;
      const value = state.score === "q" ? node.now.q : node[state.score];
      const parent = bornBy(node).length > 0;
      const drawn = `${node.now.visits} ${state.score} ${value} ${parent} ${node.open}`;
      if (node.drawn === drawn) return;
      node.twisty.textContent = !parent ? "" : node.open ? "▾" : "▸";
      if (parent) node.row.setAttribute("aria-expanded", String(node.open));
      else node.row.removeAttribute("aria-expanded");
      const next = [
        meter(node.now.visits / most, text(node.now.visits)),
        meter(Number.isFinite(value) ? (value - low) / (high - low) : 0, number(value, 2)),
      ];
      node.meters.forEach((old, i) => old.replaceWith(next[i]));
      Object.assign(node, { drawn, meters: next });
      node.row.setAttribute("aria-label", spoken(node));
    }

    /** The node at which the newest simulation shown ended; the root before the first. */
    const newest = () => tree.ends[state.step - 1] || tree.order[0];

    /** Shows the nodes made so far, except those below a closed one, with their figures of that time. */
    function refresh() {
      rewind(tree, state.step);
      let closedAt = Infinity;
      const followed = new Set(state.step < last ? pathTo(newest()) : []);
      const marked = new Set(best.checked ? bestPath(tree) : []);
      for (const node of tree.order) {
        if (node.level <= closedAt) closedAt = Infinity;
        const hide = node.born >= state.step || closedAt < node.level;
        if (node.row.hidden !== hide) node.row.hidden = hide;
        if (!hide && !node.open) closedAt = node.level;
        node.row.classList.toggle("followed", followed.has(node));
        node.row.classList.toggle("best", marked.has(node));
        draw(node);
      }
      slider.value = state.step;
      position.value = `simulation ${state.step} of ${last}`;
    }

    function setOpen(node, open) {
      if (node.children.length > 0) node.open = open;
    }

    /** Selects a node that is visible or can be made so. */
    function select(node, focus) {
      if (node.born >= state.step) state.step = node.born + 1;
      for (const above of pathTo(node).slice(0, -1)) setOpen(above, true);
      if (state.selected) {
        state.selected.row.setAttribute("aria-selected", "false");
        state.selected.row.tabIndex = -1;
      }
      state.selected = node;
      node.row.setAttribute("aria-selected", "true");
      node.row.tabIndex = 0;
      refresh();
      detail.replaceChildren(...nodeDetails(node, tree.nodes.length));
      detail.scrollTop = 0;
      if (focus) node.row.focus({ preventScroll: true });
      reveal(node.row);
    }

    /** Scrolls the box of the tree, and not the page. */
    function reveal(row) {
      const above = row.offsetTop - box.offsetTop - 28;
      const below = row.offsetTop - box.offsetTop + row.offsetHeight - box.clientHeight;
      if (box.scrollTop > above) box.scrollTop = above;
      else if (box.scrollTop < below) box.scrollTop = below;
    }

    // ---- Playback

    function setStep(step) {
      state.step = Math.max(0, Math.min(last, step));
      select(newest(), false);
      if (state.step === last) stop();
    }

    function stop() {
      clearInterval(state.timer);
      state.timer = null;
      play.textContent = "Play";
    }

    function start() {
      if (state.step === last) setStep(0);
      play.textContent = "Pause";
      state.timer = setInterval(() => setStep(state.step + 1), 1000 / Number(speed.value));
    }

    const button = (name, action, label) => {
      const made = el("button", { type: "button", "aria-label": label }, name);
      made.addEventListener("click", action);
      return made;
    };
    const stepTo = (step) => () => {
      stop();
      setStep(step());
    };
    const play = button("Play", () => (state.timer ? stop() : start()));
    const slider = el("input", { type: "range", min: 0, max: last, step: 1, value: last });
    slider.addEventListener("input", () => stepTo(() => Number(slider.value))());
    // It changes many times a second during playback, so it is not read out by itself.
    const position = el("output", { class: "count", "aria-live": "off" });
    const speed = el("select", {}, ...[1, 3, 10, 50].map((rate) => el("option", { value: rate }, `${rate} a second`)));
    speed.value = "3";
    speed.addEventListener("change", () => {
      if (!state.timer) return;
      stop();
      start();
    });

    // ---- Search in the texts, marks, closing and opening

    let matches = [];
    const found = el("output", { class: "count" });
    const query = el("input", { type: "search", placeholder: "text of an option" });
    const nextMatch = (back) => {
      if (matches.length === 0) return;
      stop();
      const at = matches.indexOf(state.selected);
      const next = at < 0 ? 0 : (at + (back ? -1 : 1) + matches.length) % matches.length;
      select(matches[next], false);
      found.value = `${next + 1} of ${matches.length}`;
    };
    query.addEventListener("input", () => {
      const words = query.value.trim().toLowerCase();
      matches = words ? tree.order.filter((node) => node.text.toLowerCase().includes(words)) : [];
      const hits = new Set(matches);
      for (const node of tree.nodes) node.row.classList.toggle("match", hits.has(node));
      found.value = words ? `${matches.length} found` : "";
    });
    query.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      nextMatch(event.shiftKey);
    });

    const score = el("select", {}, ...scores.map((key) => el("option", { value: key }, titles[key])));
    const scoreTitle = el("span");
    score.addEventListener("change", () => {
      scale(score.value);
      refresh();
    });
    const best = el("input", { type: "checkbox" });
    best.addEventListener("change", refresh);
    const setAll = (open) => () => {
      for (const node of tree.nodes) if (node.parent) setOpen(node, open);
      // The selected node must stay visible, since the focus is on it.
      if (!open && state.selected) select(pathTo(state.selected).slice(0, 2).pop(), false);
      refresh();
    };

    // ---- Mouse and keyboard in the tree

    box.addEventListener("click", (event) => {
      const row = event.target.closest(".node");
      if (!row || !row.node) return;
      stop();
      if (event.target.classList.contains("twisty")) setOpen(row.node, !row.node.open);
      select(row.node, true);
    });
    box.addEventListener("dblclick", (event) => {
      const row = event.target.closest(".node");
      if (!row || !row.node || event.target.classList.contains("twisty")) return;
      setOpen(row.node, !row.node.open);
      refresh();
    });
    box.addEventListener("keydown", (event) => {
      const node = state.selected;
      if (!node || event.altKey || event.ctrlKey || event.metaKey) return;
      const visible = () => tree.order.filter((one) => !one.row.hidden);
      const move = (by) => {
        const rows = visible();
        return rows[rows.indexOf(node) + by];
      };
      const children = bornBy(node);
      const hasOpenChild = node.open && children.length > 0;
      const keys = {
        ArrowDown: () => move(1),
        ArrowUp: () => move(-1),
        Home: () => visible()[0],
        End: () => visible().pop(),
        ArrowRight: () => {
          if (hasOpenChild) return children[0];
          setOpen(node, true);
          return node;
        },
        ArrowLeft: () => {
          if (!hasOpenChild) return node.parent;
          setOpen(node, false);
          return node;
        },
        // Enter and the space bar open and close, as a double click does.
        Enter: () => {
          setOpen(node, !node.open);
          return node;
        },
        "*": () => {
          for (const sibling of node.parent ? node.parent.children : [node]) setOpen(sibling, true);
          return node;
        },
      };
      keys[" "] = keys.Enter;
      if (!keys[event.key]) return;
      event.preventDefault();
      stop();
      const next = keys[event.key]();
      if (next) select(next, true);
    });

    // ---- Putting it together

    const goTo = (node) => {
      stop();
      if (!node) return;
      select(node, true);
      box.scrollIntoView({ block: "nearest" });
    };
    const leafOf = (solution) => tree.byId.get(solution.leaf_id);

    function picksPart() {
      const picks = Object.entries(json.picks || {});
      if (picks.length === 0) return [el("p", {}, "No rule picked an answer from this tree.")];
      const answers = distinct(picks.map(([, answer]) => text(answer)));
      const ranked = [...tree.solutions].sort((a, b) => a.rank - b.rank);
      return [
        el("p", {}, answers.length === 1 ? "All rules pick the same answer." : `The rules disagree: ${answers.length} answers.`),
        table("Picks", ["Decoder", "Answer", ""], picks.map(([decoder, answer]) => {
          const solution = ranked.find((one) => one.answer !== null && one.answer === answer && leafOf(one));
          return [el("span", {}, decoder, el("span", { class: "facts block" }, rule(decoder, json))), el("bdi", {}, text(answer)),
            solution ? button("Show", () => goTo(leafOf(solution)), "Show the best solution with this answer") : ""];
        })),
      ];
    }

    function solutionsPart() {
      if (tree.solutions.length === 0) return [el("p", {}, "This tree has no finished solution.")];
      return [table("Solutions", ["Rank", "Answer", "Kept or why not", "Calculator", "Score", "Value", "ORM", "Agreement", "Decoder", ""],
        tree.solutions.map((one) => [text(one.rank), el("bdi", {}, text(one.answer)),
          el("span", { class: one.kept ? "fate good" : "fate bad" }, fate(one)),
          el("span", { class: failed(one) > 0 ? "bad" : null }, findings(one)),
          number(one.score, 2), number(one.value, 2), number(one.orm, 2), number(one.agreement, 2), text(one.decoder),
          leafOf(one) ? button("Show", () => goTo(leafOf(one)), "Show the leaf of this solution") : ""]), [0, 4, 5, 6, 7])];
    }

    const labelled = (name, control) => el("label", {}, name, control);
    const title = el("h3", { tabindex: "-1" }, "Search tree of ", el("code", {}, id));
    viewer.replaceChildren(
      el("div", { class: "head" }, title, button("Close", close)),
      el("blockquote", {}, el("bdi", {}, json.question)),
      el("p", {}, "Play shows the search simulation by simulation, with the visits and the Q of that time; before the end, a line at the left marks the path of the newest one. Importance, width and merges are those at the end of the search. Arrow keys walk the tree, Enter opens and closes a node."),
      el("div", { class: "controls", role: "group", "aria-label": "Playback" },
        button("First", stepTo(() => 0)), button("Back", stepTo(() => state.step - 1)), play,
        button("Forward", stepTo(() => state.step + 1)), button("Last", stepTo(() => last)),
        labelled("Simulations shown", slider), labelled("Speed", speed), position),
      el("div", { class: "controls", role: "group", "aria-label": "View" },
        labelled("Find in the tree", query), button("Next match", () => nextMatch(false)), found,
        labelled("Score in the bars", score), el("label", { class: "inline" }, best, "Mark the path of best Q"),
        button("Open all", setAll(true)), button("Close all", setAll(false))),
      el("div", { class: "walk" }, box, detail),
      el("h4", {}, "What each rule picks"), ...picksPart(),
      el("h4", {}, "Solutions"), ...solutionsPart(),
    );
    const head = el("div", { class: "node columns-head", "aria-hidden": "true" },
      el("span", { class: "text" }, "Option"), el("span", { class: "badges" }), el("span", {}, "Visits"), scoreTitle);
    box.append(head, ...tree.order.map(makeRow));
    scale("q");
    select(tree.order[0], false);
    viewer.hidden = false;
    return { stop, title };
  }

  // ---- Opening and closing -------------------------------------------------------------------------------------------

  const rowOf = (id) => [...list.children].find((row) => row.dataset.id === id);

  /** Parses the tree of a prompt and shows it. Trees that nobody opens are never parsed. */
  function open(id) {
    const source = document.getElementById(`tree-${id}`);
    if (!source) return;
    if (current) current.stop();
    for (const row of list.children) row.classList.toggle("open", row.dataset.id === id);
    const json = JSON.parse(source.textContent);
    if (json.nodes.length === 0) return;
    current = { id, ...show(id, json) };
    history.replaceState(null, "", `#tree=${encodeURIComponent(id)}`);
    current.title.scrollIntoView({ block: "start" });
    current.title.focus({ preventScroll: true });
  }

  function close() {
    current.stop();
    viewer.hidden = true;
    viewer.replaceChildren();
    const row = rowOf(current.id);
    row?.classList.remove("open");
    row?.querySelector("button")?.focus();
    history.replaceState(null, "", "#prompts");
    current = null;
  }

  for (const row of list.children) {
    if (!("tree" in row.dataset) || !document.getElementById(`tree-${row.dataset.id}`)) continue;
    const opener = el("button", { type: "button", "aria-label": `Open the tree of ${row.dataset.id}` }, "Open the tree");
    opener.addEventListener("click", () => open(row.dataset.id));
    row.prepend(opener);
  }

  function openFromAddress() {
    const found = Report.target().match(/^tree=(.*)$/);
    if (found) open(found[1]);
  }
  window.addEventListener("hashchange", openFromAddress);
  openFromAddress();
})();
