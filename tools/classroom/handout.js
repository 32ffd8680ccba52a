/* Turns the article of a chapter into one for paper. Runs in the page, before it is
   printed; handouts.py calls these functions. */
(() => {
  const make = (tag, text = "", parent = null) => {
    const element = document.createElement(tag);
    element.textContent = text;
    parent?.append(element);
    return element;
  };

  // The articles of pages, each with its own names of places
  const gather = (pages) => {
    const all = pages.map(({ address, html }) => {
      const read = new DOMParser().parseFromString(html, "text/html");
      const article = read.querySelector("article.bd-article");
      for (const script of article.querySelectorAll("script")) script.remove();
      for (const image of article.querySelectorAll("img[src]"))
        image.src = new URL(image.getAttribute("src"), address).href;
      return { address, article: document.adoptNode(article) };
    });
    all.forEach(({ address, article }, i) => {
      for (const place of article.querySelectorAll("[id]"))
        if (!place.closest("svg")) place.id = `c${i}-${place.id}`;
      article.id = `c${i}`;
      for (const link of article.querySelectorAll("a[href]")) {
        const to = new URL(link.getAttribute("href"), address);
        const chapter = all.findIndex((page) => page.address === to.href.split("#")[0]);
        const place = to.hash ? `-${decodeURIComponent(to.hash.slice(1))}` : "";
        link.setAttribute("href", chapter < 0 ? to.href : `#c${chapter}${place}`);
      }
    });
    const articles = all.map(({ article }) => article);
    document.querySelector(".bd-article-container").append(...articles);
    return window.MathJax?.startup.promise
      .then(() => MathJax.typesetPromise(articles))
      .then(() => {});
  };

  const section = (article, title) => {
    const place = make("section", "", article);
    place.className = "mmdl-end";
    make("h2", title, place);
    return place;
  };

  // Folded code goes, or is shown under its bar; solutions and rubrics go
  const code = (article, shown) => {
    const secret = ".tag_solution, .solution, div.admonition.dropdown";
    for (const part of article.querySelectorAll(secret)) part.remove();
    for (const fold of article.querySelectorAll("details.hide")) {
      if (shown) fold.open = true;
      else fold.remove();
    }
  };

  // A slider's place in words
  const explorers = (article) => {
    for (const fieldset of article.querySelectorAll(".mmdl-explore fieldset")) {
      const states = [...fieldset.querySelectorAll("label")].map((label) => {
        const control = label.querySelector("input, select");
        const words = JSON.parse(control.dataset.words);
        return `${label.firstElementChild.textContent} = ${words[control.value || 0]}`;
      });
      const line = make("p", `Shown: ${states.join(", ")}. The page has the others.`);
      line.className = "mmdl-state";
      fieldset.replaceWith(line);
    }
  };

  // Answers move to the end
  const answers = (article) => {
    const folds = [...article.querySelectorAll("details.sd-dropdown")];
    const found = folds.filter((fold) => {
      const title = fold.querySelector("summary").textContent.trim();
      if (title !== "Answer") fold.remove();
      return title === "Answer";
    });
    if (!found.length) return;
    const list = section(article, "Answers");
    found.forEach((fold, i) => {
      const answer = make("div", "", list);
      answer.className = "mmdl-answer";
      make("h3", `Answer ${i + 1}`, answer);
      answer.append(...fold.querySelector(".sd-summary-content").childNodes);
      fold.replaceWith(make("p", `Answer ${i + 1} stands at the end of the chapter.`));
    });
  };

  // The works that are cited
  const references = (article, works) => {
    const cited = new Set();
    for (const link of article.querySelectorAll("a[href*='bibliography.html#']"))
      cited.add(link.getAttribute("href").split("#")[1]);
    const list = works.filter(({ id }) => cited.has(id));
    if (!list.length) return;
    const place = section(article, "References");
    place.classList.add("mmdl-references");
    for (const { html } of list) make("p", "", place).innerHTML = html;
  };

  // Addresses outside of the book, numbered; places in the book are no addresses on paper
  const links = (article) => {
    const notes = new Map();
    for (const link of article.querySelectorAll("a[href]")) {
      const address = link.getAttribute("href");
      if (address.startsWith("#") && document.getElementById(address.slice(1))) continue;
      if (!/^(https?|mailto):/.test(address)) {
        if (link.closest(".mmdl-links")) link.remove();
        else link.replaceWith(...link.childNodes);
        continue;
      }
      if (link.closest(".mmdl-references") || link.textContent === address) continue;
      if (!notes.has(address)) notes.set(address, notes.size + 1);
      const mark = make("sup", `${notes.get(address)}`);
      mark.className = "mmdl-note";
      link.after(mark);
    }
    if (!notes.size) return;
    const list = make("ol", "", section(article, "Links"));
    for (const address of notes.keys()) {
      const link = make("a", address, make("li", "", list));
      link.href = address;
    }
  };

  // The title at the foot of each page of the chapter
  const foot = (article, i, title) => {
    const words = JSON.stringify(title);
    make("style", `@page chapter${i} { @bottom-left { content: ${words};
      font: 8.5pt "Liberation Sans", Arial, sans-serif; color: #444; } }`, document.head);
    article.style.page = `chapter${i}`;
    // else what stands before the first one would be on a page of another name
    if (!i) document.body.style.page = "chapter0";
  };

  // Title and contents of the book
  const front = (title, chapters) => {
    document.querySelector(".mmdl-front-page")?.remove();
    const first = document.querySelector("article.bd-article");
    const page = make("article");
    page.className = "mmdl-front-page";
    make("h1", title, page);
    const list = make("ol", "", page);
    chapters.forEach((chapter, i) => {
      const link = make("a", "", make("li", "", list));
      link.href = `#c${i}`;
      make("span", chapter.title, link);
      make("span", chapter.page, link);
    });
    first.before(page);
    document.body.style.page = page.style.page = "front";
  };

  // What must not be on paper
  const faults = () => {
    const wrong = document.querySelector("mjx-merror, mjx-mtext[style*='red']");
    const gone = [...document.images].find((image) => !image.complete ||
      !image.naturalWidth);
    return [
      ...(wrong ? [`expected formulas of known signs, got ${wrong.textContent}.`] : []),
      ...(gone ? [`expected the picture ${gone.src.slice(-80)}, got none.`] : []),
    ];
  };

  window.handout = {
    gather,
    front,
    prepare({ shown, works, titles }) {
      const articles = [...document.querySelectorAll("article.bd-article")];
      articles.forEach((article, i) => {
        code(article, shown);
        explorers(article);
        answers(article);
        references(article, works);
        links(article);
        foot(article, i, titles[i]);
      });
      return faults();
    },
  };
})();
