"""Korean texts for the loads, the same in every run: nothing is stored, nothing comes twice.

A sentence is a number written in words: its digits choose a word from each list and one of a few
orders. So sentences of different numbers differ, and no cache of a server can help it.
"""

from math import prod

# Times, places, people, manners, qualities, things, deeds.
_WORDS = """
오늘 어제 지난주 아침에 저녁에 주말에 점심때 밤늦게 방금 새벽에 올여름 작년에

서울에서 부산에서 도서관에서 시장에서 학교에서 병원에서 공원에서 회사에서
카페에서 제주에서 역에서 집에서 공항에서 식당에서 박물관에서

학생이 선생님이 의사가 친구가 동생이 기자가 할머니가 직원이
연구원이 감독이 손님이 가수가 작가가 기사가 아이가 이웃이

천천히 조용히 함께 갑자기 열심히 다시 몰래 급히 즐겁게 처음으로 정성껏 마침내

새로운 오래된 작은 비싼 유명한 따뜻한 낡은 커다란 재미있는 중요한 가벼운 빨간

책을 가방을 사진을 자전거를 김치찌개를 편지를 노트북을 그림을 우산을 의자를
음악을 영화를 꽃을 지도를 시계를 열쇠를 선물을 신문을 커피를 계획을

샀습니다. 찾았습니다. 팔았다. 보았다. 준비했습니다. 옮겼다. 나누었습니다.
골랐다. 빌렸다. 소개했습니다. 기다렸다. 잃어버렸습니다. 고쳤다. 보냈습니다.
받았다. 숨겼다. 설명했습니다. 바꾸었다. 챙겼습니다. 좋아했다.
"""

_LISTS = [words.split() for words in _WORDS.split("\n\n")]

# Places of the lists' words in the sentence; the verb ends it.
_ORDERS = ((0, 1, 2, 3, 4, 5, 6), (2, 0, 1, 4, 5, 3, 6), (1, 4, 5, 2, 0, 3, 6))

SENTENCES = prod(map(len, _LISTS)) * len(_ORDERS)
"""How many sentences there are: numbers beyond begin again."""

# A prime that divides no list's length, so that neighbouring numbers share few words.
_STRIDE = 2_654_435_761

# Of the embedded model's tokenizer; counted by tests/test_benchmarks.py.
_TOKENS_A_WORD = 2.28
_SPECIAL_TOKENS = 2

SHORTEST, LONGEST = 5, 400
"""Tokens of the mixed lengths, special tokens included."""

# Its multiples, taken modulo 1, fill the unit interval evenly however many are drawn.
_GOLDEN = 0.618_033_988_749_895


def sentence(number: int) -> str:
    """A sentence of seven words, about 18 tokens."""
    return " ".join(_words(number))


def passage(number: int) -> str:
    """A text of 5 to 400 tokens: as many of each length's order of magnitude (log-uniform).

    Only the shortest, of two or three words, may come again.
    """
    tokens = SHORTEST * (LONGEST / SHORTEST) ** (number * _GOLDEN % 1)
    wanted = max(2, round((tokens - _SPECIAL_TOKENS) / _TOKENS_A_WORD))
    words: list[str] = []
    while len(words) < wanted:
        words += _words(number + len(words) * _STRIDE)
    return " ".join(words[:wanted])


def _words(number: int) -> list[str]:
    rest = number * _STRIDE % SENTENCES
    rest, order = divmod(rest, len(_ORDERS))
    chosen = []
    for words in _LISTS:
        rest, index = divmod(rest, len(words))
        chosen.append(words[index])
    return [chosen[index] for index in _ORDERS[order]]
