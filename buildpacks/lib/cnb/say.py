"""What the person who pushed reads while the build goes on."""


def say(text):
    print(text, flush=True)
