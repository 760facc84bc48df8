// One stream in a dialog: its time line, its facts, how it ended and whether its client came back, its latest events, and what an
// operator can do with it.

extension Page {
    /// The script of the dialog.
    static let detailScript = #"""
        const detail = { id: null, open: null, end: null, back: null, feed: null, events: [], line: makeTimeline($("lane")) };

        function openDetail(id, line) {
          closeFeed();
          const row = state.rows.get(id);
          Object.assign(detail, { id, open: row ? row.open : line && line.event === "stream_open" ? line : null,
            end: line && line.event === "stream_end" ? line : null, back: null, events: [] });
          for (const known of state.lines) if (known.stream === id) { if (known.event === "stream_open") detail.open ??= known;
            else detail.end ??= known; }
          detail.line.start();
          detail.line.show(60000);
          drawScales();
          if (detail.end) ended(detail.end); else if (detail.open) begun(detail.open);
          if (!$("detail").open) $("detail").showModal();
          drawDetail();
          if (!detail.end) follow(id);
        }
        const moment = text => Date.parse(text) - state.unixOffset;
        function begun(open) { detail.open = open; detail.line.opened(moment(open.time)); }
        function ended(end) {
          detail.end = end;
          const at = moment(end.time);
          detail.line.opened(at - end.duration_ms);
          detail.line.ended(at, end.client_silence_at_end_ms || 0);
          if (end.duration_ms > 48000) detail.line.show(Math.min(3600000, end.duration_ms * 1.25));
          lookForReturn();
        }
        // The same client with the same path, soon after the end. With a token, or where the proxy says so, it is certain.
        function lookForReturn() {
          if (!detail.end || detail.back) return;
          const end = detail.end, at = Date.parse(end.time);
          detail.back = state.lines.find(line => line.event === "stream_open" && (line.previous_stream === end.stream
            || (Date.parse(line.time) >= at - 5 && Date.parse(line.time) < at + 60000 && line.path === end.path && line.host === end.host
              && clientOf(line) === clientOf(end) && line.token === end.token && line.agent === end.agent))) || null;
          if (detail.back) detail.line.returned(moment(detail.back.time), detail.back.stream);
        }
        function follow(id) {
          const feed = detail.feed = new EventSource("/streams/" + encodeURIComponent(id) + "/feed");
          const on = (name, take) => feed.addEventListener(name, message => { take(JSON.parse(message.data)); drawDetail(); });
          on("hello", () => detail.line.watched(now()));
          on("rows", message => { for (const values of message.rows) if (values[0].stream === id) begun(values[0]); });
          on("events", message => {
            for (const line of message.lines) {
              const at = moment(line.time), isBeat = line.event === "stream_heartbeat";
              detail.line.add({ at, kind: isBeat ? "beat" : "event", number: line.number, bytes: line.bytes });
              detail.events.push(line);
            }
            if (message.missed) notice(message.missed + " events came faster than they could be shown");
            detail.events.splice(0, detail.events.length - 200);
          });
          on("lines", message => { for (const line of message.lines) if (line.stream === id && line.event === "stream_end") ended(line);
            });
          feed.onerror = () => {
            if (feed.readyState === EventSource.CLOSED) notice("This stream cannot be followed now: too many viewers"); };
        }
        function closeFeed() { if (detail.feed) detail.feed.close(); detail.feed = null; }
        function closeDetail() { if ($("detail").open) $("detail").close(); }

        function facts(pairs) {
          return pairs.filter(pair => pair[1] !== "" && pair[1] !== null && pair[1] !== undefined && pair[1] !== "–").map(([name,
            value]) => {
            const pair = element("div");
            pair.append(element("dt", "", name), element("dd", "", String(value)));
            return pair;
          });
        }
        function drawDetail() {
          if (detail.id === null) return;
          const open = detail.open || detail.end, end = detail.end, row = state.rows.get(detail.id);
          $("detail-title").textContent = open ? (open.host || "") + (open.path || "") : detail.id;
          const badge = $("detail-badge");
          badge.className = "badge " + (end ? side(end.cause) : row ? "alive" : "soft");
          badge.textContent = end ? causeWords(end.cause) : row ? row.isHeld ? "held" : "open" : "gone";
          if (!open) return $("detail-facts").replaceChildren(...facts([["stream", detail.id]]));
          const silent = row && !end;
          $("detail-facts").replaceChildren(...facts([
            ["stream", detail.id], ["route", open.route], ["server", (end || open).server], ["client", open.client], ["forwarded for",
              open.client_forwarded],
            ["agent", open.agent], ["hops", hopsOf(open)], ["protocol", open.http ? "HTTP/" + open.http + (open.tls ? ", " + open.tls
              : "") : open.tls],
            ["began", new Date(open.time).toLocaleString()], [end ? "lasted" : "age", end ? exact(end.duration_ms) : row
              ? span(now() - row.startedAt) : ""],
            ["silent to the client", silent ? span(silence(row.clientAt)) : end ? exact(end.client_silence_at_end_ms) : ""],
            ["silent from the server", silent ? span(silence(row.upstreamAt)) : end ? exact(end.upstream_silence_at_end_ms) : ""],
            ["longest silence to the client", end ? exact(end.longest_client_silence_ms) : ""],
            ["events", end ? end.events : row ? row.events : ""], ["heartbeats", end ? end.heartbeats : row ? row.beats : ""],
            ["waiting", row && !end ? size(row.pending) : ""], ["heartbeat every", open.heartbeat_ms ? exact(open.heartbeat_ms)
              : open.woven === false ? "no heartbeats" : ""],
            ["Last-Event-ID", open.resumes === true ? "brought: it came back" : open.resumes === false ? "none: a new page" : ""],
            ["held because", open.held_because],
          ]));
          const shownEnd = $("detail-end");
          shownEnd.hidden = !end;
          if (end) {
            shownEnd.className = side(end.cause);
            lookForReturn();
            const back = detail.back ? "Its client came back after " + exact(Date.parse(detail.back.time) - Date.parse(end.time))
              + " as " + detail.back.stream + "."
              : unix() - Date.parse(end.time) < 60000 ? "Its client has not come back yet."
                : "Its client did not come back within a minute, as far as the tail goes.";
            shownEnd.replaceChildren(element("p", "", (state.causes[end.cause] || ["", ""])[1] + " " + (end.evidence ? "Seen: "
              + end.evidence + "." : "")), element("p", "soft", back));
          }
          drawActions(row && !end);
          drawEvents();
        }
        function drawActions(isOpen) {
          const bar = $("detail-actions");
          if (bar.dataset.of === detail.id + isOpen) return;
          bar.dataset.of = detail.id + isOpen;
          if (!isOpen) return bar.replaceChildren();
          const id = detail.id, button = element("button", "danger", "End this stream");
          button.onclick = () => {
            const sure = element("button", "danger", "End it now"), no = element("button", "", "Leave it");
            bar.replaceChildren(element("span", "soft", "It ends between two events, and its EventSource comes back by itself."), sure,
              no);
            sure.onclick = () => { sure.disabled = true; act("/streams/" + encodeURIComponent(id) + "/end", {}); };
            no.onclick = () => { bar.dataset.of = ""; drawDetail(); };
            sure.focus();
          };
          bar.replaceChildren(button);
        }
        function drawEvents() {
          const list = $("detail-events");
          if (!detail.events.length) {
            const text = detail.end ? "" : "Events and heartbeats appear here as they pass.";
            return list.replaceChildren(element("p", "soft", text));
          }
          const shown = element("table"), head = element("tr");
          for (const name of ["time", "what", "id", "bytes", "after", "waiting"]) head.append(element("th", "", name));
          shown.append(head, ...detail.events.slice(-60).reverse().map(line => {
            const row = element("tr"), isBeat = line.event === "stream_heartbeat";
            row.append(element("td", "", clockTime(line.time)), element("td", isBeat ? "beat" : "", isBeat ? "heartbeat" : (line.type
              || "message") + " " + line.number),
              element("td", "", line.id_withheld ? "(holds the token)" : line.id || ""), element("td", "", String(line.bytes)),
              element("td", "", exact(isBeat ? line.silence_ms : line.since_previous_ms)), element("td", "", line.pending_bytes
                ? size(line.pending_bytes) : ""));
            return row;
          }));
          list.replaceChildren(shown);
        }
        function drawScales() {
          const scales = [["10 s", 10000], ["1 min", 60000], ["10 min", 600000], ["1 h", 3600000]];
          $("scales").replaceChildren(element("span", "", "last"), ...scales.map(([text, ms]) => {
            const button = element("button", "", text);
            button.onclick = () => detail.line.show(ms);
            return button;
          }));
        }
        function startDetail() {
          $("detail-close").onclick = closeDetail;
          $("detail").addEventListener("close", () => { if ($("detail").open) return; closeFeed(); detail.line.stop(); detail.id = null;
            $("rows").focus(); });
          $("detail").addEventListener("click", event => { if (event.target === $("detail")) closeDetail(); });
          setInterval(() => { if (detail.id !== null) drawDetail(); }, 1000);
        }

        """#
}
