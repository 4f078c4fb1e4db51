"""FastAPI on Corten's own TCP/IP: nothing in this file knows of it.

    corten asgi fastapi_app:app --app-dir examples --link tap:corten0,address=10.0.2.2/24

needs root for the TAP device, and `pip install fastapi 'uvicorn[standard]'`. Give the kernel's side
an address (`host=10.0.2.1/24` in the link), then `curl http://10.0.2.2/notes/1`.
"""

from __future__ import annotations

from fastapi import FastAPI, HTTPException, WebSocket, WebSocketDisconnect
from pydantic import BaseModel

app = FastAPI(title="Notes")
notes: dict[int, str] = {1: "Corten is a steel that rusts once and then never again."}


class Note(BaseModel):
    """What is written down."""

    text: str


@app.get("/notes/{number}")
async def read(number: int) -> Note:
    """One note."""
    if number not in notes:
        raise HTTPException(404, "no such note")
    return Note(text=notes[number])


@app.put("/notes/{number}")
async def write(number: int, note: Note) -> Note:
    """Write one, or write it anew. Each worker has notes of its own: this is an example."""
    notes[number] = note.text
    return note


@app.websocket("/echo")
async def echo(socket: WebSocket) -> None:
    """Say what is said."""
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        return
