"""What makes mistakes in memory hard to exploit, as the program itself shows it."""

import json
import os
import pathlib
import re

import pytest
from elftools.elf.constants import P_FLAGS
from elftools.elf.elffile import ELFFile

from support.kubernetes.image import unpack
from support.process import Unavailable
from support.server.server import REPOSITORY

RELEASE = pathlib.Path(REPOSITORY, "build", "release")
END_BRANCH = bytes.fromhex("f30f1efa")
SIGN_RETURN_ADDRESS, BRANCH_TARGET = bytes.fromhex("3f2303d5"), bytes.fromhex("5f2403d5")  # paciasp, bti c
SHADOW_STACK = 2
BRANCH_TARGETS_AND_RETURN_ADDRESSES = 1 | 2
FEATURES = {"EM_X86_64": "GNU_PROPERTY_X86_FEATURE_1_AND", "EM_AARCH64": "GNU_PROPERTY_AARCH64_FEATURE_1_AND"}
POSITION_INDEPENDENT = 0x08000000  # DF_1_PIE
NOW = 0x00000001  # DF_1_NOW


@pytest.fixture(scope="module", params=["release", "image"])
def program(request, tmp_path_factory):
    if request.param == "release":
        path = RELEASE / "backlog"
    else:
        path = pathlib.Path(unpack(tmp_path_factory.mktemp("image")), "usr/local/bin/backlog")
    if not os.access(path, os.X_OK):
        raise Unavailable(f"{path} is not built")
    with open(path, "rb") as file:
        yield ELFFile(file)


def segment(program, kind):
    return next((each for each in program.iter_segments() if each["p_type"] == kind), None)


def dynamic(program, tag):
    return [each for each in segment(program, "PT_DYNAMIC").iter_tags() if each.entry.d_tag == tag]


def imports(program):
    return {symbol.name for symbol in program.get_section_by_name(".dynsym").iter_symbols() if symbol["st_shndx"] == "SHN_UNDEF"}


def properties(program):
    section = program.get_section_by_name(".note.gnu.property")
    for note in section.iter_notes() if section else ():
        for each in note["n_desc"]:
            if each["pr_type"] == FEATURES[program["e_machine"]]:
                return each["pr_data"]
    return 0


def test_it_is_loaded_at_a_random_address(program):
    assert program["e_type"] == "ET_DYN"
    assert dynamic(program, "DT_FLAGS_1")[0].entry.d_val & POSITION_INDEPENDENT


def test_its_table_of_functions_is_read_only_before_it_starts(program):
    assert segment(program, "PT_GNU_RELRO")
    assert dynamic(program, "DT_FLAGS_1")[0].entry.d_val & NOW


def test_nothing_is_both_writable_and_executable(program):
    both = P_FLAGS.PF_W | P_FLAGS.PF_X
    assert not segment(program, "PT_GNU_STACK")["p_flags"] & P_FLAGS.PF_X
    assert not [each for each in program.iter_segments() if each["p_type"] == "PT_LOAD" and each["p_flags"] & both == both]
    assert not dynamic(program, "DT_TEXTREL") and not dynamic(program, "DT_RPATH") and not dynamic(program, "DT_RUNPATH")


def test_stacks_and_buffers_are_checked(program):
    found = imports(program)
    assert "__stack_chk_fail" in found
    assert len([name for name in found if re.fullmatch(r"__\w+_chk", name)]) >= 5, "functions of FORTIFY_SOURCE"


def test_jumps_are_checked(program, request):
    text = program.get_section_by_name(".text").data()
    if program["e_machine"] == "EM_X86_64":
        assert properties(program) & SHADOW_STACK
        assert text.count(END_BRANCH) > 1000, "functions begin with a mark where jumps may land"
    elif program["e_machine"] == "EM_AARCH64":
        assert text.count(SIGN_RETURN_ADDRESS) > 1000 and text.count(BRANCH_TARGET) > 400
        # The linker marks a program only where the start files are marked: those of Debian 13 are, of Debian 12 not.
        if request.node.callspec.params["program"] == "image":
            assert properties(program) & BRANCH_TARGETS_AND_RETURN_ADDRESSES == BRANCH_TARGETS_AND_RETURN_ADDRESSES


def test_all_of_it_was_compiled_so():
    """The program shows that buffers are checked, but not at which level."""
    compiled = json.loads((RELEASE / "compile_commands.json").read_text())
    own = [each for each in compiled if "/src/" in each["file"] or "/scalers/" in each["file"]]
    assert len(own) > 100
    for each in own:
        words = each["command"].split()
        levels = [word for word in words if "FORTIFY_SOURCE" in word]
        assert levels[-1] == "-D_FORTIFY_SOURCE=3" and "-O2" in words, each["file"]
        assert {"-fstack-protector-strong", "-fstack-clash-protection"} <= set(words), each["file"]
