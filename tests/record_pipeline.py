"""Records what transformers' question-answering pipeline answers, for tests to compare with.

The pipeline is gone since transformers 5.3, so this runs in an environment of its own:

    python -m venv ENV
    ENV/bin/pip install 'transformers==4.57.*' torch==2.13.0
    ENV/bin/python tests/record_pipeline.py tests/data/pipeline.json

With a reader's folder behind it, that reader is recorded instead of the made ones.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers
from tiny_reader import WINDOW_TOKENS, save_reader

MAX_ANSWER_TOKENS = 12
STEP = 32

# One window of the made readers holds each of these.
SHORT = [
    ("훈민정음은 언제 창제되었나요?", "세종은 1443년에 훈민정음을 창제하고 1446년에 반포하였다."),
    ("측우기를 만든 사람은?", "장영실은 세종의 명을 받아 측우기와 자격루를 만들었다."),
    ("한라산의 높이는?", "한라산은 제주도에 있는 산으로 높이는 1,947미터이다."),
    ("수도는 어디인가요?", "대한민국의 수도는 서울이며, 가장 큰 항구는 부산이다."),
    ("누가 썼나요?", "《홍길동전》은 허균이 쓴 것으로 알려진 한글 소설이다."),
    ("물의 끓는점은?", "물은 1기압에서 섭씨 100도에 끓고 0도에 언다."),
    ("환불은 며칠 걸리나요?", "카드로 결제하신 금액은 영업일 5일 안에 환불해 드립니다."),
    ("상담 시간은?", "상담은 평일 오전 9시부터 오후 6시까지 받습니다."),
    ("배송비는 얼마인가요?", "3만 원 미만은 배송비 3천 원, 그 이상은 무료입니다."),
    ("우승한 팀은?", "결승에서 서울이 대구를 3 대 1로 이기고 우승하였다."),
    ("김치찌개의 재료는?", "김치찌개는 신김치와 돼지고기, 두부를 넣고 끓인다."),
    ("What is KTX?", "KTX(Korea Train eXpress)는 2004년 4월 1일에 개통했다."),
    ("누가 발견했나요?", "페니실린은 1928년 알렉산더 플레밍이 발견하였다."),
    ("회의는 언제인가요?", "회의는 다음 주 화요일 오후 2시, 3층 회의실에서 엽니다."),
]

# Several windows of the made readers.
LONG = [
    (
        "첫 전철은 언제 개통되었나요?",
        "우리나라의 첫 지하철은 서울역과 청량리역을 잇는 노선으로 1974년 8월 15일에 개통되었다. "
        "같은 날 수도권 전철도 함께 다니기 시작하였다. 부산에서는 1985년에, 대구에서는 1997년에, "
        "인천에서는 1999년에 첫 노선이 문을 열었다. 광주와 대전이 그 뒤를 이었다.",
    ),
    (
        "환불에 며칠이 걸리나요?",
        "상품을 받으신 날부터 7일 안에 교환이나 반품을 신청하실 수 있습니다. 상품에 흠이 있으면 "
        "30일 안에 신청하시면 되고, 배송비는 저희가 부담합니다. 반품하신 상품이 도착하면 상태를 "
        "확인한 뒤 영업일 5일 안에 결제하신 방법으로 환불해 드립니다. 포장을 뜯은 식품은 반품하실 "
        "수 없습니다.",
    ),
    (
        "가장 긴 강은?",
        "압록강은 백두산에서 시작하여 황해로 흐르는 강으로 길이가 약 803킬로미터이며 한반도에서 "
        "가장 길다. 두만강은 동해로 흐른다. 한강은 태백산맥에서 시작하여 서울을 지나 황해로 "
        "흐르고, 낙동강은 영남 지방을 지나 남해로 흐른다. 금강은 충청의 들을 적신다.",
    ),
    (
        "적립금은 언제 사라지나요?",
        "구매를 확정하시면 결제 금액의 1퍼센트를 적립금으로 드립니다. 적립금은 1천 원부터 쓰실 수 "
        "있고, 적립한 날부터 1년이 지나면 사라집니다. 생일이 있는 달에는 두 배로 적립해 드리며, "
        "적립금은 현금으로 바꾸거나 남에게 넘겨주실 수 없습니다. 반품하시면 그 주문으로 쌓인 "
        "적립금은 거두어들입니다.",
    ),
    (
        "누가 노벨상을 받았나요?",
        "2000년에 김대중 대통령이 민주주의와 남북 화해에 힘쓴 공로로 노벨 평화상을 받았다. "
        "2024년에는 소설가 한강이 노벨 문학상을 받았는데, 아시아 여성으로는 처음이었다. 한강은 "
        "1970년 광주에서 태어났으며 《채식주의자》로 2016년에 인터내셔널 부커상을 받은 바 있다.",
    ),
    (
        "경복궁은 누가 다시 지었나요?",
        "경복궁은 1395년 태조가 세운 조선의 법궁이다. 임진왜란 때 불에 타 270여 년 동안 폐허로 "
        "남아 있다가, 1867년 고종 때 흥선대원군이 다시 지었다. 일제 강점기에 많은 건물이 헐렸으며, "
        "1990년대부터 복원이 이어지고 있다. 정문은 광화문이고 정전은 근정전이다.",
    ),
]


def main(output: Path, folder: str = "") -> None:
    """Writes the answers of each reader to ``output``."""
    with tempfile.TemporaryDirectory() as made:
        readers = (
            {"reader": Path(folder)}
            if folder
            else {
                "bert": save_reader(Path(made) / "bert", "bert"),
                "klue": save_reader(Path(made) / "klue", "klue"),
            }
        )
        tokens = 384 if folder else WINDOW_TOKENS
        recorded = {name: _record(path, tokens) for name, path in readers.items()}
    value = {"transformers": transformers.__version__, "torch": torch.__version__, **recorded}
    output.parent.mkdir(exist_ok=True)
    output.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _record(folder: Path, tokens: int) -> list[dict[str, Any]]:
    make: Any = transformers.pipeline
    pipeline = make("question-answering", str(folder), device="cpu", dtype=torch.float32)
    return [_ask(pipeline, question, context, tokens) for question, context in SHORT + LONG]


def _ask(pipeline: Any, question: str, context: str, tokens: int) -> dict[str, Any]:
    """The answer, and those of each window alone.

    Of several windows the pipeline compares scores that each window made for itself, and adds up
    those of equal texts, so that they are no probabilities.
    """
    asked = pipeline.tokenizer(question, add_special_tokens=False)["input_ids"]
    room = tokens - len(asked) - pipeline.tokenizer.num_special_tokens_to_add(pair=True)
    options = {"max_seq_len": tokens, "max_question_len": 64, "doc_stride": max(0, room - STEP)}
    asking = {"question": question, "context": context}
    # The library's answer may begin in the middle of a word, as Korean's particles ask for.
    how = {"max_answer_len": MAX_ANSWER_TOKENS, "align_to_words": False}
    windows = []
    for window in pipeline.preprocess(pipeline.create_sample(question, context), **options):
        output = pipeline.forward(window)
        best = pipeline.postprocess([output], **how)
        some = pipeline.postprocess([output], **how, top_k=500, handle_impossible_answer=True)
        nothing = next(answer["score"] for answer in some if not answer["answer"])
        windows.append({**best, "no_answer_score": nothing})
    return {**asking, "answer": pipeline(**asking, **options, **how)["answer"], "windows": windows}


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
