"""A public address for a service, by way of ngrok."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from inference.errors import InvalidInput, first_line

_TOKEN = "NGROK_AUTHTOKEN"  # noqa: S105


def check_tunnel() -> None:
    """Refuses, before anything heavy starts, a tunnel that could not be opened.

    Raises:
        InvalidInput: pyngrok or the token is missing; the message tells how to get it.
    """
    try:
        import pyngrok  # noqa: F401
    except ImportError as error:
        raise InvalidInput("A tunnel needs pyngrok: pip install 'ssang[tunnel]'.") from error
    if not os.environ.get(_TOKEN):
        raise InvalidInput(
            f"A tunnel needs {_TOKEN}. (1) Sign up at https://dashboard.ngrok.com/signup; it is "
            "free. (2) Copy the token from https://dashboard.ngrok.com/get-started/your-authtoken "
            f"and set it: export {_TOKEN}=..."
        )


@contextmanager
def open_tunnel(port: int) -> Iterator[str]:
    """The public address of a local port, which is closed at the end of the block.

    Raises:
        InvalidInput: ngrok could not be fetched or started, or does not take the token.
    """
    from pyngrok import ngrok
    from pyngrok.conf import PyngrokConfig
    from pyngrok.exception import PyngrokError

    # What goes wrong is told in one sentence instead.
    logging.getLogger("pyngrok").addHandler(logging.NullHandler())
    logging.getLogger("pyngrok").propagate = False
    config = PyngrokConfig()
    # ngrok reads it from the environment too; an argument would show in lists of processes.
    config.auth_token = None
    try:
        address = ngrok.connect(str(port), pyngrok_config=config).public_url
        if address is None:
            raise InvalidInput("ngrok gave the tunnel no address: try again.")
        yield address
    except PyngrokError as error:
        raise InvalidInput(
            f"ngrok did not open a tunnel: {first_line(error)} Check {_TOKEN} and the network."
        ) from error
    finally:
        ngrok.kill(config)
