"""The examples on the help pages: what to type, by command; the catalog's ``example.KEY`` says what each is for."""

from __future__ import annotations

EXAMPLES = {
    "descentlab": {
        "demo": "descentlab demo",
        "diagnose_script": "descentlab diagnose loop.py",
    },
    "run": {
        "run_lesson": "descentlab run --lr 0.15",
        "run_file": "descentlab run houses.csv --target price --standardize --lr 0.1",
    },
    "diagnose": {
        "diagnose_file": "descentlab diagnose houses.csv --target price --lr 0.01",
        "diagnose_script": "descentlab diagnose loop.py",
        "diagnose_losses": "descentlab diagnose --losses 36.4,43.9,53.0 --lr 0.01",
    },
    "cv": {
        "cv_file": "descentlab cv houses.csv --target price --standardize --folds 2",
        "cv_rate": "descentlab cv longley --standardize --lr 0.1 --ridge 0.01",
    },
    "solve": {
        "solve_file": "descentlab solve houses.csv --target price",
        "solve_stats": "descentlab solve houses.csv --target price --robust HC3",
        "solve_longley": "descentlab solve longley --json",
    },
    "predict": {
        "predict_file": "descentlab predict price.json new.csv -o out.csv --interval 0.95",
        "predict_sql": "descentlab predict price.json --sql",
    },
    "compare": {
        "compare_models": "descentlab compare small.json large.json",
        "compare_held_out": "descentlab compare small.json large.json --data new.csv",
    },
    "explain": {
        "explain_list": "descentlab explain",
        "explain_one": "descentlab explain diverges",
    },
    "lab": {
        "lab_lesson": "descentlab lab",
        "lab_file": "descentlab lab houses.csv --target price",
    },
    "lesson": {
        "lesson_one": "descentlab lesson 1",
        "lesson_notebook": "descentlab lesson 1 --notebook one.ipynb",
    },
    "compress": {
        "compress_file": "descentlab compress houses.csv --target price -o houses.factor",
        "compress_merge": "descentlab compress more.csv --merge houses.factor -o houses.factor",
    },
    "demo": {
        "demo": "descentlab demo",
        "demo_run": "descentlab run",
    },
}
