"""The methods, one module each: from a model file to what generates and imputes.

    load_generator(item, params, runtime) -> Generate         (only if it generates)
    load_imputers(item, params, runtime) -> dict[str, Imputer]

`params` is the whole typed document, of which a method reads its own section. Its trained model is
`models/<method>/<cell>.safetensors` and holds everything that sampling and imputing need. CONTRIBUTING.md says how to
add one.
"""
