"""Tasks that run once: moto starts them and lets them run for good, AWS tells how they end.

A task ends by itself at the second look, unless it was told to sleep. One whose image is known to fail ends with an exit
code, unless it was started with a command of its own.
"""
import time

LOOKS = 2


class Once:
    def __init__(self, definition, doomed, given):
        told = [one["command"] for one in given.get("overrides", {}).get("containerOverrides", []) if one.get("command")]
        self.sleeps = any(command[0] == "sleep" for command in told)
        self.containers = [{"name": one["name"], "image": one["image"]} for one in definition["containerDefinitions"]]
        self.code = 1 if doomed and not told else 0
        self.looks, self.started, self.stopped, self.why = 0, time.time(), None, {}

    def look(self, task):
        self.looks += 1
        if self.looks >= LOOKS and not self.stopped and not self.sleeps:
            self.stop(self.code, "EssentialContainerExited", "Essential container in task exited")
        return self.told(task)

    def stop(self, code, kind, reason):
        if not self.stopped:
            self.code, self.stopped, self.why = code, time.time(), {"stopCode": kind, "stoppedReason": reason}

    def told(self, task):
        """A task as AWS describes it: moto's answer, completed."""
        last = "STOPPED" if self.stopped else "RUNNING"
        ended = {"exitCode": self.code} if self.stopped else {}
        told = {name: value for name, value in task.items() if value is not None and name not in ("stoppedReason", "stoppedAt")}
        told |= {"lastStatus": last, "desiredStatus": last, "startedAt": self.started, **self.why,
                 "containers": [one | ended | {"taskArn": task["taskArn"], "lastStatus": last} for one in self.containers]}
        return told | ({"stoppedAt": self.stopped} if self.stopped else {})
