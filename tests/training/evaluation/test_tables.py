"""Tables are aligned, in the field's words, each score followed by its calibrated form."""

from training.evaluation.tables import aligned, name_of, ordered


def test_columns_are_aligned_and_long_heads_are_broken() -> None:
    text = aligned(["score", "star_as_galaxy", "n"], [["wmse", "0.5", "7"], ["longer", "–", "12"]])
    assert text.splitlines() == [
        "          star",
        "            as",
        "score   galaxy   n",
        "------------------",
        "wmse       0.5   7",
        "longer       –  12",
    ]


def test_scores_have_a_fixed_order_each_before_its_calibrated_form() -> None:
    given = ["new", "pca10_calibrated", "pca10", "wmse_calibrated", "wmse", "p_value"]
    assert ordered(given) == [
        "p_value",
        "wmse",
        "wmse_calibrated",
        "pca10",
        "pca10_calibrated",
        "new",
    ]


def test_scores_have_names_in_the_fields_words() -> None:
    assert name_of("pca50_calibrated") == "PCA-50 χ², by S/N"
    assert name_of("pca5") == "PCA-5 χ²"
