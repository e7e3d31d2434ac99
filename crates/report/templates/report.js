"use strict";
(() => {
  const root = document.documentElement;
  const store = {
    get: () => { try { return localStorage.getItem("healthcheck-theme"); } catch { return null; } },
    set: (theme) => { try { localStorage.setItem("healthcheck-theme", theme); } catch { /* a page without storage forgets */ } },
  };
  const theme = document.getElementById("theme");
  const chosen = store.get();
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
  const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  theme.hidden = false;
  theme.setAttribute("aria-pressed", String(isDark()));
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    theme.setAttribute("aria-pressed", String(isDark()));
    store.set(root.dataset.theme);
  });

  const form = document.getElementById("filter");
  const list = document.getElementById("list");
  if (form && list) {
    const cards = [...list.children].map((card, place) => ({ card, place, text: card.textContent.toLowerCase(), ...card.dataset }));
    const output = form.querySelector("output");
    const apply = () => {
      const wanted = new FormData(form);
      const severities = new Set(wanted.getAll("severity"));
      const words = String(wanted.get("search") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const c of cards) {
        const fits = severities.has(c.severity)
          && ["check", "cluster", "namespace"].every((name) => !wanted.get(name) || wanted.get(name) === c[name])
          && words.every((word) => c.text.includes(word));
        c.card.hidden = !fits;
        shown += fits;
      }
      output.value = `${shown} / ${cards.length}`;
    };
    const sort = () => {
      const by = form.elements.sort.value;
      const order = [...cards].sort((a, b) => (by ? a[by].localeCompare(b[by]) : 0) || a.place - b.place);
      list.append(...order.map((c) => c.card));
    };
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", apply);
    form.elements.sort.addEventListener("change", sort);
    apply();
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") !== "descending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const value = (row) => row.cells[column].textContent;
        const compare = (a, b) => value(a).localeCompare(value(b), undefined, { numeric: true });
        const body = table.tBodies[0];
        body.append(...[...body.rows].sort((a, b) => down ? compare(b, a) : compare(a, b)));
      });
    });
  }

  // A printed page has everything; on the screen a link opens what it leads to.
  addEventListener("beforeprint", () => document.querySelectorAll("details.finding:not([hidden])").forEach((d) => { d.open = true; }));
  const reveal = () => { const aim = document.getElementById(location.hash.slice(1)); if (aim?.tagName === "DETAILS") aim.open = true; };
  addEventListener("hashchange", reveal);
  reveal();
})();
