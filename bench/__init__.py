"""Measurements of Corten beside nginx, uvicorn, kernel sockets and a bare wire: `./dev bench`."""
