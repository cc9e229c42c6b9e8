"""A server of files on this machine that fails in every way on request."""

import http.server
import threading
import time
from contextlib import contextmanager, suppress

__all__ = ["Mirror", "mirror"]


class Mirror:
    """Answers `/HOW/name`: `good` sends the file, the rest fail."""

    def __init__(self):
        self.files = {}
        self.asked = []
        self.stop = threading.Event()
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *arguments):
                pass

            def do_GET(self):
                how, _, name = self.path.strip("/").partition("/")
                mirror.asked.append(how)
                with suppress(BrokenPipeError, ConnectionResetError):
                    getattr(self, how)(mirror.files.get(name, b""))

            def head(self, length=None, code=200, **headers):
                self.send_response(code)
                if length is not None:
                    self.send_header("Content-Length", str(length))
                for key, value in headers.items():
                    self.send_header(key, value)
                self.end_headers()

            def good(self, content):
                self.head(len(content))
                self.wfile.write(content)

            def unannounced(self, content):  # without a length
                self.head()
                self.wfile.write(content)

            def missing(self, content):
                self.send_error(404)

            def broken(self, content):
                self.send_error(500)

            def wrong(self, content):
                self.good(content[:-1] + bytes([content[-1] ^ 1]))

            def page(self, content):  # what a hotel's network answers to everything
                self.good(b"<html>please log in</html>")

            def short(self, content):  # closes before what it announced
                self.head(len(content))
                self.wfile.write(content[: len(content) // 2])

            def shorter(self, content):
                self.good(content[:-1])

            def longer(self, content):
                self.good(content + b"!")

            def silent(self, content):
                mirror.stop.wait(20)

            def hangs(self, content):
                self.head(len(content))
                self.wfile.write(content[:5])
                mirror.stop.wait(20)

            def drips(self, content):
                self.head(len(content))
                for byte in content:
                    self.wfile.write(bytes([byte]))
                    if mirror.stop.wait(0.05):
                        return

            def endless(self, content):
                self.head()
                while not mirror.stop.is_set():
                    self.wfile.write(bytes(2**16))

            def redirects(self, content):
                self.head(0, 302, Location=self.path.replace("redirects", "good"))

            def loops(self, content):
                self.head(0, 302, Location=self.path)

            def nonsense(self, content):
                self.wfile.write(b"\0\1\2 not HTTP at all\r\n\r\n")

            def slow(self, content):
                time.sleep(0.4)
                self.good(content)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def mirror():
    """A running one."""
    here = Mirror()
    thread = threading.Thread(target=here.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield here
    finally:
        here.stop.set()
        here.server.shutdown()
        here.server.server_close()
        thread.join()
