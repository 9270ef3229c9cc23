"""Receives webhooks: verifies the signature and handles each event once. Run: CHAT_SECRET=… python receiver.py 8080"""

import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ["CHAT_SECRET"].encode()
seen: set[str] = set()  # keep the ids where you keep what the events change, in one transaction


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 once every event of a delivery is handled: the gateway sends until then."""

    def do_POST(self) -> None:
        """Handle a delivery."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        at, _, given = self.headers.get("X-Chat-Signature", "").removeprefix("t=").partition(",v1=")
        expected = hmac.new(SECRET, at.encode() + b"." + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(given.encode(), expected.encode()) or abs(time.time() - int(at)) > 300:
            self.send_error(401)
            return
        for event in json.loads(body)["events"]:
            if event["id"] not in seen:
                print(event["type"], event["id"], event["data"].get("text"), flush=True)
                seen.add(event["id"])
        self.send_response(204)
        self.end_headers()


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
