"""What a study needs, said before an accelerator is paid for: memory on each chip, compiler warnings, FLOPs, hours.

- `chips`: the accelerators known, and devices of them that need not be there.
- `flops`: floating-point operations of a model, by formula.
- `programs`: a phase's training step and evaluation steps, compiled ahead of time from shapes alone.
- `apart`: a program compiled in a process of its own, so that a crash of the compiler is only told.
- `advice`: what to change where a program does not fit.
- `amounts`: how many tokens a phase trains on and evaluates.
- `report`: the tables and the JSON file.

`python -m xtreme_stilts.preflight --help` says how it is used.
"""
