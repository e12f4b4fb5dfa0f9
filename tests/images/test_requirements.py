"""Requirements files as pip reads them. No line is dropped: each is followed, or refused by its name."""

import pytest

from headrace.contract.errors import InputError
from headrace.images.requirements import Requirements, logical_lines, parse


def _parsed(*lines: str, constraints: tuple[str, ...] = (), **files: str) -> Requirements:
    """`files` are the model's other files, with `__` for a slash."""
    return parse(lines, constraints, lambda name: files.get(name.replace("/", "__").removesuffix(".txt")))


def _faults(*lines: str) -> str:
    with pytest.raises(InputError) as caught:
        _parsed(*lines)
    return str(caught.value)


def test_lines_go_on_behind_a_backslash_and_end_at_a_comment() -> None:
    lines = ["six==1.0 \\", "    --hash=sha256:aa \\", "# in between", "", "  # alone", "a>=1  # why", "b#not-one"]

    assert list(logical_lines(lines)) == [(1, "six==1.0     --hash=sha256:aa"), (6, "a>=1"), (7, "b#not-one")]


def test_a_byte_order_mark_in_front_of_any_file_is_no_part_of_a_name() -> None:
    texts = {"more.txt": "\ufeff# by an editor\nattrs>=1\n", "limits.txt": "\ufeffsix<2"}
    found = parse(["\ufeffsix==1.0", "-r more.txt", "-c limits.txt"], ["\ufeffnumpy<3"], texts.get)

    assert [package.name for package in found.packages] == ["six", "attrs"]
    assert [constraint.text for constraint in found.constraints] == ["six<2", "numpy<3"]


def test_a_hash_belongs_to_its_requirement_however_it_is_written() -> None:
    found = _parsed(
        "six==1.0 --hash=sha256:aa --hash sha512:bb",
        "needed @ https://host/needed-1-py3-none-any.whl#sha256=cc",
        "https://host/other-1-py3-none-any.whl#egg=other&sha256=dd",
    )

    assert [(one.name, one.hashes) for one in found.packages] == [
        ("six", ("sha256:aa", "sha512:bb")),
        ("needed", ("sha256:cc",)),
        ("other", ("sha256:dd",)),
    ]
    assert found.is_hashed
    assert not any("sha256" in line for line in found.lines), "uv would believe it without a look"


def test_options_say_where_packages_are_and_how_they_are_built() -> None:
    found = _parsed(
        "-i https://one/simple",
        "--extra-index-url=https://two/simple",
        "--no-index --find-links wheels",
        "-f https://three/links.html",
        "--trusted-host two",
        "--no-binary six",
        "--only-binary :all:",
        "--pre",
        "--prefer-binary",
        "needed @ ./needed --config-settings 'speed=fast'",
    )

    assert found.index_urls == ["https://one/simple"]
    assert found.lines[:6] == [
        "--no-binary six",
        "--only-binary :all:",
        "--no-index",
        "--extra-index-url https://two/simple",
        "--find-links wheels",
        "--find-links https://three/links.html",
    ]
    assert (found.trusted_hosts, found.prereleases, found.prefer_binary) == (["two"], True, True)
    assert found.settings == ["needed:speed=fast"]


def test_an_index_stands_for_those_named_before_it_as_with_pip() -> None:
    found = _parsed("--extra-index-url https://one", "--index-url https://two", "--extra-index-url https://three")

    assert (found.index_urls, found.extra_index_urls) == (["https://two"], ["https://three"])


@pytest.mark.parametrize(
    ("line", "path", "name"),
    [
        ("code/scorer-1.0-py3-none-any.whl", "code/scorer-1.0-py3-none-any.whl", "scorer"),
        ("./wheels/my_lib-1.0-py3-none-any.whl ; python_version > '3'", "wheels/my_lib-1.0-py3-none-any.whl", "my-lib"),
        ("scorer-1.0.tar.gz", "scorer-1.0.tar.gz", ""),
        ("./pkg[extra]", "pkg", ""),
        ("-e ./pkg", "pkg", ""),
        ("-e .", ".", ""),
        ("file:code/pkg", "code/pkg", ""),
        ("pkg @ file:./code/pkg", "code/pkg", "pkg"),
        ("Pkg[x] @ ./code/a/../pkg", "code/pkg", "pkg"),
        ("file:///home/me/pkg", "/home/me/pkg", ""),
        ("/home/me/a-1.0-py3-none-any.whl", "/home/me/a-1.0-py3-none-any.whl", "a"),
        ("numpy", "", "numpy"),
        ("scikit_learn[x]>=1", "", "scikit-learn"),
        ("git+https://host/x.git@main#egg=foo", "", "foo"),
        ("foo @ git+ssh://git@host/x.git", "", "foo"),
    ],
)
def test_paths_are_those_of_the_models_directory(line: str, path: str, name: str) -> None:
    (found,) = _parsed(line).packages

    assert (found.path, found.name) == (path, name)


def test_an_editable_requirement_is_installed_as_any_other() -> None:
    assert _parsed("-e ./pkg").lines == ["./pkg"]


def test_files_that_are_named_are_followed_from_where_they_are_named() -> None:
    found = _parsed(
        "-r more.txt",
        "-c bounds.txt",
        "-c constraints.txt",
        "last",
        constraints=("z<3",),
        more="more==1\n-r sub/deep.txt\n-r requirements.txt",
        sub__deep="-r beside.txt",
        sub__beside="deep==2",
        bounds="y<2",
    )

    assert found.lines == ["more==1", "deep==2", "last"]
    assert [one.text for one in found.constraints] == ["y<2", "z<3"]
    assert found.files == ["more.txt", "sub/deep.txt", "sub/beside.txt", "bounds.txt"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("six --global-option=x", "--global-option=x is an option that cannot be followed here"),
        ("--use-feature fast-deps", "--use-feature is an option that cannot be followed here"),
        ("--process-dependency-links", "--process-dependency-links is an option"),
        ("six --install-option='a'", "--install-option=a is an option"),
        ("-r missing.txt", "--requirement missing.txt names a file that the model does not have"),
        ("-r https://host/more.txt", "names a file that is not the model's"),
        ("-c ../bounds.txt", r"../bounds.txt leads out of the model's directory"),
        ("../lib.whl", "../lib.whl leads out of the model's directory"),
        ("--find-links ../wheels", "leads out of the model's directory"),
        ("six --hash=md5:aa", "--hash=md5:aa, must be sha256, sha384 or sha512"),
        ("a @ https://host/a.whl#md5=aa", "a hash must be sha256, sha384 or sha512"),
        ("--hash=sha256:aa", "--hash stands alone"),
        ("six --index-url https://host", "--index-url stands behind a requirement"),
        ("--extra-index-url", "--extra-index-url has no value"),
        ("./pkg --config-settings a=b", "--config-settings needs the package's name in front"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_its_name(line: str, words: str) -> None:
    message = _faults("numpy", line)

    assert words in message
    assert "requirements.txt line 2: " in message


def test_all_faults_are_told_at_once() -> None:
    message = _faults("six --global-option=x", "../a.whl")

    assert "line 1" in message
    assert "line 2" in message
