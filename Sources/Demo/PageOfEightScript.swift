// What the second page does: it opens the eight streams twice, with a real EventSource each, and shows which of them are open.
// Invariant: all lists in it are bounded, and `window.heartwireEight` says what the page shows.

extension Page {
    /// The script of the second page.
    static let eightScript = #"""
        "use strict";
        const facts = JSON.parse(document.getElementById("facts").textContent);
        const HANGS_AFTER = 1500, MARKS = 200;
        const element = id => document.getElementById(id);
        function text(target, value) { if (target.textContent !== String(value)) target.textContent = value; }
        const seconds = ms => Math.floor(ms / 1000) + " s";
        const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;

        // For the browser test, and for people who open the console.
        const eight = window.heartwireEight = { plain: null, secured: null };

        let colours = {};
        function readColours() {
          const style = getComputedStyle(document.documentElement);
          for (const name of ["soft", "line", "event", "alive", "dead"]) colours[name] = style.getPropertyValue("--" + name).trim();
        }
        readColours();
        matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readColours);

        function makePanel(id, scheme, port) {
          const panel = {
            id, origin: scheme + ":" + "/" + "/" + location.hostname + ":" + port, rows: [], errors: 0, everOpened: false, connections: null,
            longestWait: 0, report: { open: 0, hanging: 0, events: 0, connections: null, versions: [], reachable: null },
          };
          text(element(id + "-origin"), panel.origin);
          for (const item of element(id).querySelectorAll(".streams li")) {
            const row = {
              panel, item, number: panel.rows.length + 1, source: null, askedAt: 0, openedAt: null, marks: [], events: 0,
              canvas: item.querySelector("canvas"), note: item.querySelector(".note"), button: item.querySelector("button"),
            };
            row.button.addEventListener("click", () => { if (row.source) leave(row); else ask(row); });
            panel.rows.push(row);
          }
          eight[id] = panel.report;
          return panel;
        }

        function ask(row) {
          const panel = row.panel;
          row.askedAt = performance.now();
          row.openedAt = null;
          const source = row.source = new EventSource(panel.origin + "/eight/" + row.number);
          source.onopen = () => { row.openedAt = performance.now(); panel.everOpened = true; };
          source.addEventListener("hello", event => {
            const version = JSON.parse(event.data).http;
            if (!panel.report.versions.includes(version)) panel.report.versions.push(version);
            text(element(panel.id + "-title"), "HTTP/" + version);
            element(panel.id).classList.toggle("shared", version === "2");
          });
          source.onmessage = event => {
            row.events += 1;
            row.marks.push(performance.now());
            if (row.marks.length > MARKS) row.marks.shift();
            panel.connections = JSON.parse(event.data).connections;
          };
          source.onerror = () => {
            if (row.source !== source) return;
            panel.errors += 1;
            row.openedAt = null;
            row.askedAt = performance.now();
            if (source.readyState !== EventSource.CLOSED) return;
            setTimeout(() => { if (row.source === source) ask(row); }, 3000);
          };
        }
        function leave(row) {
          row.source.close();
          row.source = null;
          row.openedAt = null;
        }

        function state(row, now) {
          if (!row.source) return "closed";
          if (row.openedAt !== null) return "alive";
          return row.panel.everOpened && now - row.askedAt > HANGS_AFTER ? "hanging" : "waiting";
        }

        function draw(row, now) {
          const canvas = row.canvas, ratio = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
          if (width === 0) return;
          if (canvas.width !== Math.round(width * ratio)) { canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio); }
          const context = canvas.getContext("2d"), edge = width - 7, middle = height / 2;
          const span = width < 200 ? 10000 : 20000, x = at => edge - (now - at) / span * edge;
          context.setTransform(ratio, 0, 0, ratio, 0, 0);
          context.clearRect(0, 0, width, height);
          const name = row.item.dataset.state;
          context.lineWidth = 3;
          if (name === "alive" || name === "hanging") {
            context.strokeStyle = name === "alive" ? colours.alive : colours.dead;
            context.setLineDash(name === "alive" ? [] : [6, 6]);
            context.beginPath();
            context.moveTo(Math.max(0, x(row.openedAt ?? row.askedAt)), middle);
            context.lineTo(edge, middle);
            context.stroke();
          }
          context.fillStyle = colours.event;
          for (const mark of row.marks) {
            const at = x(mark);
            if (at < -6) continue;
            const age = now - mark, radius = calm || age > 400 ? 4.5 : 4.5 + 4 * (1 - age / 400);
            context.beginPath(); context.arc(at, middle, radius, 0, 2 * Math.PI); context.fill();
          }
        }

        function hint(panel, words, address) {
          const place = element(panel.id + "-say");
          if (place.dataset.words === words) return;
          place.dataset.words = words;
          place.textContent = words + " ";
          if (!address) return;
          const link = document.createElement("a");
          link.href = address;
          link.textContent = address;
          place.append(link);
        }
        function explain(panel, open, hanging) {
          const report = panel.report;
          if (!panel.everOpened) {
            report.reachable = panel.errors > 0 ? false : null;
            if (panel.errors === 0) return;
            const why = panel.id === "secured"
              ? "This browser does not accept the demo's own certificate yet. Open this page over TLS and accept it once:"
              : "A page over TLS may open plain HTTP on its own machine only. Open this page without TLS:";
            return hint(panel, why, panel.origin + "/eight");
          }
          report.reachable = true;
          if (hanging > 0) {
            const streams = hanging === 1 ? "One stream hangs" : hanging + " streams hang";
            const why = ": no request was sent, and there is no error and no timeout. The next one begins when another stream ends.";
            return hint(panel, streams + why + " Close one to see it.");
          }
          if (report.versions.includes("2")) {
            if (panel.connections > 1) {
              return hint(panel, "They share " + panel.connections + " connections: some browsers open several before they know that HTTP/2 is spoken.");
            }
            return hint(panel, "All of them share one connection, and so would those of other tabs. Heartwire takes up to 256 at once.");
          }
          hint(panel, open + " streams are open, and the browser has no connection left for anything else of this origin.");
        }

        function show() {
          const now = performance.now();
          for (const panel of [plain, secured]) {
            let open = 0, hanging = 0, events = 0, wait = 0;
            const isOut = !panel.everOpened && panel.errors > 0;
            for (const row of panel.rows) {
              const name = row.item.dataset.state = state(row, now);
              events += row.events;
              if (name === "alive") { open += 1; wait = Math.max(wait, row.openedAt - row.askedAt); }
              if (name === "hanging") { hanging += 1; wait = Math.max(wait, now - row.askedAt); }
              const notes = { closed: "closed", waiting: isOut ? "–" : "connecting", hanging: "hangs, " + seconds(now - row.askedAt) };
              text(row.note, notes[name] ?? row.events + (row.events === 1 ? " event" : " events"));
              text(row.button, name === "closed" ? "open" : "close");
            }
            panel.longestWait = Math.max(panel.longestWait, wait);
            Object.assign(panel.report, { open, hanging, events, connections: panel.connections });
            explain(panel, open, hanging);
            element(panel.id).dataset.state = isOut ? "refused" : hanging > 0 ? "hanging" : open > 0 ? "alive" : "waiting";
            const words = open === panel.rows.length ? "all alive" : open + " alive";
            const bad = hanging === 0 ? "" : hanging === 1 ? ", 1 hangs" : ", " + hanging + " hang";
            text(element(panel.id + "-state"), isOut ? "cannot be reached" : open === 0 ? "connecting" : words + bad);
            text(element(panel.id + "-open"), open);
            element(panel.id + "-open").parentElement.className = hanging > 0 ? "bad" : open > 0 ? "good" : "";
            text(element(panel.id + "-connections"), panel.connections ?? "–");
            text(element(panel.id + "-events"), events);
            const longest = panel.longestWait < 1000 ? "< 1 s" : seconds(panel.longestWait);
            text(element(panel.id + "-wait"), panel.everOpened ? longest : "–");
            element(panel.id + "-wait").className = hanging > 0 ? "bad" : "";
          }
        }

        const plain = makePanel("plain", "http", facts.plainPort), secured = makePanel("secured", "https", facts.securedPort);
        for (const panel of [plain, secured]) panel.rows.forEach(ask);
        setInterval(show, 100);
        const picture = () => { for (const panel of [plain, secured]) for (const row of panel.rows) draw(row, performance.now()); };
        if (calm) setInterval(picture, 500);
        else {
          // Thirty pictures a second are enough, and leave the processor to the streams.
          let last = 0;
          const frame = at => { if (at - last > 30) { last = at; picture(); } requestAnimationFrame(frame); };
          requestAnimationFrame(frame);
        }
        """#
}
