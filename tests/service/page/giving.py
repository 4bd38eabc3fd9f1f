"""Files that reach the page by an event."""

from __future__ import annotations

from typing import Any


def give(page: Any, event: str, carrier: str, name: str, content: bytes) -> None:
    """Dispatch an event of the document that carries one file."""
    page.evaluate(
        """([event, carrier, name, bytes]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name, {type: 'image/png'}));
            const Kind = carrier === "clipboardData" ? ClipboardEvent : DragEvent;
            document.body.dispatchEvent(
                new Kind(event, {[carrier]: transfer, bubbles: true, cancelable: true}));
        }""",
        [event, carrier, name, list(content)],
    )
