"""Critical values and data sets of outlier tests, as printed.

Sources:
    ASTM E178, critical values of one-sided Grubbs tests.
    B. Rosner, Technometrics 25 (1983) 165-172, table of the generalised ESD test, two-sided at 0.05.
    B. Iglewicz, D. C. Hoaglin, How to Detect and Handle Outliers, 1993.
    NIST/SEMATECH, e-Handbook of Statistical Methods, 7.1.6 (fences).
"""

from __future__ import annotations

import pytest

from twin.detectors.outliers.esd import esd_critical
from twin.detectors.outliers.grubbs import grubbs_critical
from twin.detectors.outliers.modified_z import modified_z
from twin.detectors.outliers.tukey import tukey_fences


def row(text):
    return [float(word) for word in text.split()]


# n = 3 to 30
GRUBBS = {
    0.05: """1.153 1.463 1.672 1.822 1.938 2.032 2.110 2.176 2.234 2.285 2.331 2.371 2.409 2.443
             2.475 2.504 2.532 2.557 2.580 2.603 2.624 2.644 2.663 2.681 2.698 2.714 2.730 2.745""",
    0.025: """1.155 1.481 1.715 1.887 2.020 2.126 2.215 2.290 2.355 2.412 2.462 2.507 2.549 2.585
              2.620 2.651 2.681 2.709 2.733 2.758 2.781 2.802 2.822 2.841 2.859 2.876 2.893 2.908""",
    0.01: """1.155 1.492 1.749 1.944 2.097 2.221 2.323 2.410 2.485 2.550 2.607 2.659 2.705 2.747
             2.785 2.821 2.854 2.884 2.912 2.939 2.963 2.987 3.009 3.029 3.049 3.068 3.085 3.103""",
}


@pytest.mark.parametrize("alpha", GRUBBS)
def test_grubbs_critical_values(alpha):
    """All sizes of the standard; its own numbers are off by up to two units of the last digit."""
    found = [grubbs_critical(n, alpha, two_sided=False) for n in range(3, 31)]
    assert found == pytest.approx(row(GRUBBS[alpha]), abs=2e-3)


@pytest.mark.parametrize(
    ("n", "printed"),
    [
        (25, "2.82 2.80 2.78 2.76 2.73"),
        (26, "2.84 2.82 2.80 2.78 2.76"),
        (30, "2.91 2.89 2.88 2.86 2.84"),
        (50, "3.13 3.12 3.11 3.10 3.09"),
    ],
)
def test_rosner_critical_values(n, printed):
    """The first five steps for other sizes than that of the worked example."""
    found = [esd_critical(n, i) for i in range(1, 6)]
    assert found == pytest.approx(row(printed), abs=5.1e-3)


def test_two_outliers_that_hide_from_the_mean():
    """Scores of 25.86 and 26.31 where plain z scores stay below 2."""
    found = modified_z(row("2.1 2.6 2.4 2.5 2.3 2.1 2.3 2.6 8.2 8.3"))
    assert found.outliers == (8, 9)
    assert found.scores[8:] == pytest.approx((25.86, 26.31), abs=6e-3)


def test_fences_of_the_handbook():
    """Quartiles 429.75 and 742.25, fences -39 and 1211, one mild outlier."""
    values = row(
        """30 171 184 201 212 250 265 270 272 289 305 306 322 322 336 346 351 370 390 404 409 411
           436 437 439 441 444 448 451 453 470 480 482 487 494 495 499 503 514 521 522 527 548 550
           559 560 570 572 574 578 585 592 592 607 616 618 621 629 637 638 640 656 668 707 709 719
           737 739 752 758 766 792 792 794 802 818 830 832 843 858 860 869 918 925 953 991 1000
           1005 1068 1441"""
    )
    found = tukey_fences(values, quantile_type=6)
    assert (found.q1, found.q3, *found.inner) == (429.75, 742.25, -39.0, 1211.0)
    assert found.outer == (-507.75, 1679.75)
    assert (found.outliers, found.far) == ((89,), ())
