#!/usr/bin/env python3
"""Runs an emulator of AWS on a free port of the loopback interface, for as long as somebody holds its stdin open.

    serve.py moto | shimmed | ministack

Prints one line, the port, once the emulator answers. When stdin ends, whoever started it is gone, and so is the emulator:
no test leaves one behind, however it died. `shimmed` is moto behind the shim of `shim/`.
"""
import os
import socket
import sys
import threading
import time
import urllib.error
import urllib.request

HOST = "127.0.0.1"


def follow_parent():
    sys.stdin.buffer.read()
    os._exit(0)


def announce(port, path, out):
    """Tells the port as soon as a request is answered."""
    while True:
        try:
            urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=5).close()
            break
        except (OSError, urllib.error.URLError):
            time.sleep(0.02)
    print(port, file=out, flush=True)


def serve_moto(out):
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(HOST, 0, verbose=False)
    server.start()
    announce(server.get_host_and_port()[1], "/moto-api/data.json", out)
    threading.Event().wait()


def serve_shimmed(out):
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    from shim.app import Shim

    app = Shim(DomainDispatcherApplication(create_backend_app))
    server = make_server(HOST, 0, app, threaded=True, request_handler=MotoRequestHandler)
    threading.Thread(target=announce, args=(server.server_port, "/moto-api/data.json", out), daemon=True).start()
    server.serve_forever()


def serve_ministack(out):
    listener = socket.socket()
    listener.bind((HOST, 0))
    port = listener.getsockname()[1]
    # Read when its modules are imported. Its other listeners (SFTP, MQTT) stay off.
    os.environ |= {"GATEWAY_PORT": str(port), "BIND_HOST": HOST, "MINISTACK_ACCOUNT_ID": "123456789012",
                   "SFTP_ENABLED": "0", "IOT_MTLS_ENABLED": "0"}
    import asyncio

    import hypercorn.asyncio
    import hypercorn.config
    import ministack.app

    settings = hypercorn.config.Config()
    settings.bind = [f"fd://{listener.fileno()}"]
    threading.Thread(target=announce, args=(port, "/health", out), daemon=True).start()
    asyncio.run(hypercorn.asyncio.serve(ministack.app.app, settings))


def main():
    # Only the port goes to stdout; whatever the emulator prints goes to the log.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    threading.Thread(target=follow_parent, daemon=True).start()
    {"moto": serve_moto, "shimmed": serve_shimmed, "ministack": serve_ministack}[sys.argv[1]](out)


if __name__ == "__main__":
    main()
