"""Faults for a running study: whatever happens to it, the same command again ends with the same numbers, bit for bit.

    python -m tests.faults --list                     what can be done to it
    python -m tests.faults --run NAME [--times N]     one scenario
    python -m tests.faults --random N --seed S        N faults at random moments

The program itself runs as a child process, the way a user starts it; it is killed, told to stop, or its files are
damaged, and it is started again until it ends with status 0. What it leaves behind is then compared with that of a run
nothing happened to: parameters of every phase, predictions, thresholds, scores, results.csv. The last line says
`identical N/N`; the exit status is 1 where that is not all of them.

Terms: a *change* is one alteration of a file or a folder below the study directory as the program asks the system for
it, `rename phases/three-seed0-1234/best/20`, say (`child.py`); the *whole* run is the one without a fault.
"""
