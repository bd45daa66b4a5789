"""The quick start: a store, a pipe of three stages, two worker processes.

cd examples && python quick_start.py
"""

from slither_actors import Application, Pipe, Store, Table, router, run_pipe, stage, view, workers


class FeatureStore(Store):
    features = Table()

    def load(self, tables):  # runs in the StoreServer; a failure fails the start
        tables.features.insert([("user:42", {"tier": "gold"})])

    @view  # callable from a worker, scoped to the run's session
    def lookup_feature(self, key):
        return self.features.get(key)


class ScorePipe(Pipe):
    stores = [FeatureStore]

    @stage  # runs in an actor; a bare value is the new payload, Ok/Skip/Fail/RouteTo/Many say more
    def prepare(item, ctx):
        return {"text": item.payload}

    predict = workers(
        "my_model:predict_batch", pool="default", batch_size=32, max_in_flight=4, on_error="skip"
    )

    classify = router(
        accept=lambda item: item.payload["score"] >= 0.8,
        review=lambda item: item.payload["score"] >= 0.4,
    )


if __name__ == "__main__":
    with Application(stores=[FeatureStore], pools={"default": 2}):
        outputs = run_pipe(ScorePipe, ["first", "second", "third"])
        print([item.payload for item in outputs["accept"]])
