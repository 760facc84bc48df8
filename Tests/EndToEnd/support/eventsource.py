"""An EventSource parser that follows WHATWG HTML 9.2.6 exactly, over a complete byte array.

It works in another way than Heartwire's scanner: it decodes everything, cuts it into lines and follows the
standard's sentences one by one. It reads what a browser would dispatch.
"""

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Event:
    """One dispatched event: its type, its data and the last event id at that moment."""
    type: str
    data: str
    id: str


@dataclasses.dataclass
class Reading:
    """Everything that a conforming reader takes from a stream."""
    events: list
    comments: list
    last_event_id: str
    retry: int | None

    def without(self, event_type: str) -> "Reading":
        """The same reading without the events of one type (named heartbeats)."""
        kept = [event for event in self.events if event.type != event_type]
        return dataclasses.replace(self, events=kept)

    def essence(self):
        """What must be the same with and without a proxy: everything except the comments."""
        return (self.events, self.last_event_id, self.retry)


def read(stream: bytes) -> Reading:
    """Reads a whole stream. An unfinished line or event at its end is thrown away (9.2.6)."""
    text = stream.decode("utf-8", errors="replace")
    if text.startswith("\ufeff"):
        text = text[1:]
    lines = re.split("\r\n|\n|\r", text)
    lines.pop()  # What follows the last line end is no line.

    reading = Reading(events=[], comments=[], last_event_id="", retry=None)
    data, event_type, id_buffer = "", "", ""
    for line in lines:
        if line == "":
            reading.last_event_id = id_buffer
            if data == "":
                event_type = ""
                continue
            if data.endswith("\n"):
                data = data[:-1]
            reading.events.append(Event(event_type or "message", data, reading.last_event_id))
            data, event_type = "", ""
            continue
        if line.startswith(":"):
            reading.comments.append(line[1:])
            continue
        if ":" in line:
            field, value = line.split(":", 1)
            if value.startswith(" "):
                value = value[1:]
        else:
            field, value = line, ""
        if field == "event":
            event_type = value
        elif field == "data":
            data += value + "\n"
        elif field == "id":
            if "\0" not in value:
                id_buffer = value
        elif field == "retry":
            if value and all("0" <= digit <= "9" for digit in value):
                reading.retry = int(value)
    return reading
