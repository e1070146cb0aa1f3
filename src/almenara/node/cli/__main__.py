"""``python -m almenara.node.cli``: the command, where no script is on the path."""

from almenara.node.cli import app

if __name__ == "__main__":
    app(prog_name="almenara")
