// The page's side column: causes of the last hour, routes, and the tail of openings and endings with its filters.

extension Page {
    /// The script of the side column.
    static let tailScript = #"""
        const tail = { isPaused: false, isStale: true };
        function option(text, value) { const made = element("option", "", text); made.value = value; return made; }

        function drawCauses() {
          const list = $("cause-list"), chosen = $("tail-cause").value;
          const causes = state.hour.map(entry => ({ ...entry, count: entry.minutes.reduce((sum, n) => sum + n, 0) })).sort((a, b) =>
            b.count - a.count);
          const total = causes.reduce((sum, entry) => sum + entry.count, 0);
          $("hour-total").textContent = total ? "· " + amount(total) : "";
          if (!causes.length) return list.replaceChildren(element("p", "soft", "No stream has ended."));
          list.replaceChildren(...causes.map(entry => {
            const line = element("button", "cause " + entry.side);
            line.title = (state.causes[entry.cause] || ["", ""])[1] + " The bars are the last 60 minutes.";
            line.setAttribute("aria-pressed", chosen === entry.cause);
            const count = element("span", "number", amount(entry.count));
            line.append(element("span", "dot"), element("span", "name", causeWords(entry.cause)), bars(entry.minutes), count);
            line.onclick = () => { setOption("tail-cause", chosen === entry.cause ? "" : entry.cause); $("tail-kind").value = "";
              show("tail"); refilter(); };
            return line;
          }));
        }
        function bars(minutes) {
          const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg");
          drawing.setAttribute("viewBox", "0 0 60 18");
          drawing.setAttribute("preserveAspectRatio", "none");
          drawing.setAttribute("aria-hidden", "true");
          const most = Math.max(1, ...minutes);
          minutes.forEach((count, index) => {
            if (!count) return;
            const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect"), height = Math.max(1.5, 17 * count / most);
            for (const [name, value] of [["x", index], ["width", .8], ["y", 18 - height], ["height", height]]) bar.setAttribute(name,
              value);
            drawing.append(bar);
          });
          return drawing;
        }
        function drawFindings() {
          const found = state.findings;
          $("thoughts").hidden = !found;
          // An opened piece of advice stays open until there is news.
          if (!found || tail.drawn === found) return;
          tail.drawn = found;
          const list = found.findings.map(finding => {
            const shown = element("div", "finding" + (finding.confidence < .5 ? " remark" : ""));
            shown.append(element("b", "", finding.title), element("span", "", finding.summary));
            if (finding.advice && finding.confidence >= .5) {
              const more = element("details");
              more.append(element("summary", "", "What to change"), element("p", "soft", finding.advice));
              shown.append(more);
            }
            shown.title = finding.evidence.join("; ");
            return shown;
          });
          if (!list.length) list.push(element("p", "soft", "Nothing found in " + amount(found.ended) + " endings."));
          $("findings").replaceChildren(...list, ...found.excluded.map(text => element("p", "soft", text)));
        }
        function drawRoutes() {
          $("route-list").replaceChildren(...state.routes.map(route => {
            const line = element("div", "route-line");
            route.shown = element("span", "soft number");
            line.append(element("span", "name", route.name), route.shown);
            if (state.hasEventLog) {
              const button = element("button", "", "log events");
              button.setAttribute("aria-pressed", route.logsEvents);
              button.title = "Whether the route's events and heartbeats are written to the event log, until the next reload";
              button.onclick = async () => {
                if (await act("/routes/" + encodeURIComponent(route.name) + "/event-log", { on: !route.logsEvents })) {
                  route.logsEvents = !route.logsEvents;
                  button.setAttribute("aria-pressed", route.logsEvents);
                }
              };
              line.append(button);
            }
            return line;
          }));
          countRoutes();
        }
        // Only the numbers change: a button that was drawn again would lose the keyboard's focus.
        function countRoutes() {
          const open = new Map();
          for (const row of state.rows.values()) open.set(row.route, (open.get(row.route) || 0) + 1);
          for (const route of state.routes) {
            const count = open.get(route.name) || 0;
            route.shown.textContent = count || state.isWhole ? amount(count) : "–";
          }
        }
        function setOption(id, value) {
          if (value && ![...$(id).options].some(known => known.value === value)) $(id).append(option(causeWords(value), value));
          $(id).value = value;
        }
        function fillFilters() {
          const cause = $("tail-cause").value, route = $("tail-route").value;
          $("tail-cause").replaceChildren(option("any cause", ""), ...Object.keys(state.causes).map(name => option(causeWords(name),
            name)));
          $("tail-route").replaceChildren(option("any route", ""), ...state.routes.map(found => option(found.name, found.name)));
          setOption("tail-cause", cause);
          setOption("tail-route", route);
        }
        function fits(line) {
          const kind = $("tail-kind").value, cause = $("tail-cause").value, route = $("tail-route").value,
            client = $("tail-client").value.trim();
          return (!kind || line.event === kind) && (!cause || line.cause === cause) && (!route || line.route === route)
            && (!client || (line.client || "").includes(client) || (line.client_forwarded || "").includes(client));
        }
        function tailLine(line) {
          const shown = element("div", "line"), isEnd = line.event === "stream_end";
          shown.append(element("time", "", clockTime(line.time)));
          const what = element("span", "what " + (isEnd ? side(line.cause) : "opened"), isEnd ? causeWords(line.cause) : line.resumes
            ? "opened again" : "opened");
          what.title = line.evidence || "";
          shown.append(what, element("span", "long", isEnd ? exact(line.duration_ms) : ""));
          const silent = isEnd && silenceAtEnd(line) >= 1000 ? "silent " + exact(silenceAtEnd(line)) : "";
          shown.append(element("span", "who", (line.path || "") + " · " + clientOf(line) + (line.server ? " · " + line.server : "")),
            element("span", "silent", silent));
          shown.onclick = () => openDetail(line.stream, line);
          return shown;
        }
        // The silence on the side that ended the stream: it is what tells an idle timeout from everything else.
        function silenceAtEnd(line) {
          const value = side(line.cause) === "upstream" ? line.upstream_silence_at_end_ms : line.client_silence_at_end_ms;
          return value === undefined ? null : value;
        }
        function drawTail() {
          tail.isStale = false;
          const found = [];
          for (let index = state.lines.length - 1; index >= 0 && found.length < 150;
            index--) if (fits(state.lines[index])) found.push(state.lines[index]);
          const list = $("tail-list");
          if (!found.length) return list.replaceChildren(element("p", "empty", state.lines.length ? "No line fits."
            : "Nothing has opened or ended yet."));
          list.replaceChildren(...found.map(tailLine));
        }
        function refilter() { drawTail(); drawCauses(); }
        function startTail() {
          for (const id of ["tail-kind", "tail-cause", "tail-route", "tail-client"]) $(id).addEventListener("input", refilter);
          $("tail-pause").onclick = () => {
            tail.isPaused = !tail.isPaused;
            $("tail-pause").setAttribute("aria-pressed", tail.isPaused);
            if (!tail.isPaused) drawTail();
          };
          state.onLines.push(() => { tail.isStale = true; });
          state.onHour.push(() => { drawCauses(); drawFindings(); });
          state.onFacts.push(() => { fillFilters(); drawCauses(); drawRoutes(); });
          setInterval(() => { if (tail.isStale && !tail.isPaused && !document.hidden) drawTail(); }, 500);
          setInterval(() => { if (!document.hidden) countRoutes(); }, 500);
          drawTail();
        }

        """#
}
