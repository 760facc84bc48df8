// The table of streams: only the rows in sight exist as elements, so that ten thousand streams scroll as ten do. Invariant: the order
// changes only when something has changed, and the chosen stream stays chosen.

extension Page {
    /// The script of the table.
    static let tableScript = #"""
        const rowHeight = 29;
        const columns = [
          { name: "route", of: row => row.route, className: "route" },
          { name: "path", of: row => row.path },
          { name: "client", of: row => row.client },
          { name: "server", of: row => row.server, className: "route" },
          { name: "age", of: row => now() - row.startedAt, text: span, title: "since the stream began" },
          { name: "client silent", of: row => silence(row.clientAt), text: span,
            title: "since the last byte to the client, heartbeats included", quiet: 45000 },
          { name: "server silent", of: row => silence(row.upstreamAt), text: span, title: "since the last byte from the server",
            quiet: 45000 },
          { name: "events", of: row => row.events, text: amount },
          { name: "waiting", of: row => row.pending, text: n => n ? size(n) : "", title: "bytes that the client has not taken" },
          { name: "agent, hops", of: row => row.isHeld ? "held by the proxy" : row.who, className: "route" },
        ];
        // Up to the moment for which the numbers are true: to count on from there would call every busy stream silent for a second.
        const silence = at => at ? Math.max(0, state.askedAt - at) : null;
        const table = { order: 4, isDown: true, shown: [], chosen: null, words: [], isStale: true, pool: [] };

        function buildHeads() {
          columns.forEach((column, index) => {
            const head = element("button", column.text ? "number" : "", column.name);
            head.title = column.title || "sort by " + column.name;
            head.onclick = () => {
              table.isDown = table.order === index ? !table.isDown : Boolean(column.text);
              table.order = index;
              sortRows(); drawRows();
            };
            $("heads").append(head);
          });
        }
        function sortRows() {
          const { of } = columns[table.order], sign = table.isDown ? -1 : 1;
          const found = [];
          for (const row of state.rows.values()) if (table.words.every(word => row.text.includes(word))) found.push([of(row), row]);
          found.sort((one, other) => {
            const [a, b] = [one[0], other[0]];
            if (a === b) return one[1].id < other[1].id ? -1 : 1;
            if (a === null || a === "") return 1;
            if (b === null || b === "") return -1;
            return (a < b ? -1 : 1) * sign;
          });
          table.shown = found.map(pair => pair[1]);
          [...$("heads").children].forEach((head, index) => {
            if (index === table.order) head.dataset.order = table.isDown ? "down" : "up"; else delete head.dataset.order;
          });
          table.isStale = false;
        }
        function drawRows() {
          const list = $("rows"), space = $("space");
          space.style.height = table.shown.length * rowHeight + "px";
          const first = Math.max(0, Math.floor(list.scrollTop / rowHeight) - 4);
          const last = Math.min(table.shown.length, first + Math.ceil(list.clientHeight / rowHeight) + 8);
          while (table.pool.length < last - first) {
            const row = element("div", "row");
            row.setAttribute("role", "row");
            for (const column of columns) row.append(element("span", column.text ? "number" : column.className || ""));
            row.onclick = () => { choose(row.dataset.id); openDetail(row.dataset.id); };
            space.append(row);
            table.pool.push(row);
          }
          table.pool.forEach((shown, index) => {
            const row = table.shown[first + index];
            shown.hidden = first + index >= last;
            if (!row || shown.hidden) return;
            shown.style.top = (first + index) * rowHeight + "px";
            shown.dataset.id = row.id;
            shown.setAttribute("aria-selected", row.id === table.chosen);
            columns.forEach((column, place) => {
              const cell = shown.children[place], value = column.of(row);
              const text = column.text ? column.text(value) : value;
              if (cell.textContent !== text) { cell.textContent = text; cell.title = column.text ? "" : text; }
              if (column.quiet) cell.classList.toggle("quiet", value > column.quiet);
            });
            shown.children[8].classList.toggle("waits", row.pending > 0);
            shown.children[9].classList.toggle("held", Boolean(row.isHeld));
          });
          const total = state.rows.size + state.unshown;
          const filtered = table.words.length ? table.shown.length + " of " : "";
          $("shown").textContent = filtered + total + (total === 1 ? " stream" : " streams") + (state.unshown ? ", " + state.unshown
            + " without a row" : "")
            + (state.isWhole ? "" : ", more are coming");
          const none = $("none");
          none.hidden = table.shown.length > 0;
          none.textContent = !state.isWhole ? "Asking the workers for their streams …" : table.words.length
            ? "No stream fits these words." :
            "No stream is open. Those that open appear here within a second.";
        }
        function choose(id) { table.chosen = id; drawRows(); }
        function move(step) {
          if (!table.shown.length) return;
          const place = table.shown.findIndex(row => row.id === table.chosen);
          const next = Math.min(table.shown.length - 1, Math.max(0, place < 0 ? 0 : place + step));
          const list = $("rows"), top = next * rowHeight;
          if (top < list.scrollTop) list.scrollTop = top;
          if (top + rowHeight > list.scrollTop + list.clientHeight) list.scrollTop = top + rowHeight - list.clientHeight;
          choose(table.shown[next].id);
        }
        function startTable() {
          buildHeads();
          $("rows").addEventListener("scroll", () => requestAnimationFrame(drawRows), { passive: true });
          addEventListener("resize", drawRows);
          $("search").addEventListener("input", () => {
            table.words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
            $("rows").scrollTop = 0;
            sortRows(); drawRows();
          });
          state.onStreams.push(() => { table.isStale = true; });
          // At most twice a second: a list that jumps with every message cannot be read.
          setInterval(() => { if (!document.hidden) { if (table.isStale) sortRows(); drawRows(); counts(); } }, 500);
          sortRows(); drawRows();
        }
        function counts() {
          $("count-streams").textContent = amount(state.rows.size + state.unshown);
          $("count-events").textContent = rate.events === null ? "–" : rate.events < 10 ? rate.events.toFixed(1)
            : amount(Math.round(rate.events));
          const since = unix() - 60000;
          let opened = 0, ended = 0;
          for (let index = state.lines.length - 1; index >= 0; index--) {
            const line = state.lines[index];
            if (Date.parse(line.time) < since) break;
            if (line.event === "stream_open") opened++; else ended++;
          }
          $("count-opened").textContent = amount(opened);
          $("count-ended").textContent = amount(ended);
        }

        """#
}
