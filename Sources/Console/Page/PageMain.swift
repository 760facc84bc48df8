// The page's keys, its views on a phone, and its start.

extension Page {
    /// The script that starts everything.
    static let mainScript = #"""
        function show(view) { document.body.dataset.view = view; drawRows(); }
        for (const button of document.querySelectorAll("[data-show]")) button.onclick = () => show(button.dataset.show);

        addEventListener("keydown", event => {
          if (event.ctrlKey || event.metaKey || event.altKey) return;
          const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName), isInSearch = event.target === $("search");
          if ($("detail").open) { if (event.key === "Escape") { event.preventDefault(); closeDetail(); } return; }
          const page = Math.max(1, Math.floor($("rows").clientHeight / rowHeight) - 1);
          const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -1e9, End: 1e9 };
          if (event.key === "/" && !isTyping) { show("streams"); $("search").focus(); $("search").select(); }
          else if (event.key === "Escape") {
            if (isInSearch && $("search").value) { $("search").value = ""; $("search").dispatchEvent(new Event("input")); }
            else if (isTyping) { event.target.blur(); $("rows").focus(); }
            else choose(null);
          }
          else if (event.key in steps && (!isTyping || (isInSearch && event.key.startsWith("Arrow")))) move(steps[event.key]);
          else if (event.key === "Enter" && table.chosen !== null && (isInSearch || !isTyping
            && event.target.tagName !== "BUTTON")) openDetail(table.chosen);
          else return;
          event.preventDefault();
        });
        startTable();
        startTail();
        startDetail();
        connect();
        """#
}
