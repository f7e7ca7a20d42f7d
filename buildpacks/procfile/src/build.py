"""Every line of the Procfile is a process type; it wins over the type of that name which another buildpack declared."""
from cnb.procfile import command_argv, read_procfile
from cnb.say import say


def build(context):
    processes = read_procfile(context.app / "Procfile")
    say(f"Process types of the Procfile: {', '.join(processes)}")
    context.launch({kind: command_argv(line) for kind, line in processes.items()})
