"""The child process of a `common.Side`: makes one object, then calls its methods as asked on standard input.

One JSON object a line: first the settings, then {"method", "arguments"} again and again; each is answered by one line.
What libraries print goes to standard error, so that it cannot mix with the answers.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback

from benchmarks.common import peak_memory_mib, reset_peak_memory


def main() -> None:
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        module, _, name = sys.argv[1].partition(":")
        settings, side = json.loads(sys.stdin.readline()), None
        for line in sys.stdin:
            asked = json.loads(line)
            reset_peak_memory()
            try:
                side = side or getattr(importlib.import_module(module), name)(**settings)
                answer = getattr(side, asked["method"])(**asked["arguments"])
                answer = {"peak_mib": peak_memory_mib(), **answer}
            except Exception as error:  # whatever it is, the other process must hear of it
                traceback.print_exc()
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
