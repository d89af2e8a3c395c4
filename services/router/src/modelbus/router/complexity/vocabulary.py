"""Beginnings of words that tell how hard a request is, in eight languages; of Chinese and Japanese, two characters."""

from enum import IntEnum


class Sense(IntEnum):
    """What a word tells of a request."""

    MATHS = 0
    REASONING = 1
    PROOF = 2
    DEPTH = 3
    MAKING = 4
    ERRAND = 5


_WORDS = {
    Sense.MATHS: """
        integral equation matrix matric gradient derivativ polynom probabilit variance gleichung ableitung wahrschein
        ecuaci integral derivada équation dérivée уравнен интеграл производн equaç derivada
        方程 积分 导数 矩阵 概率 微積 面積 極値 极值
    """,
    Sense.REASONING: """
        why because explain compar analy evaluat argu justif tradeoff trade advantage disadvantage reason discuss assess
        critic hypothes recommend implication limitation consequence
        warum erklär vergleich bewert begründ nachteil vorteil analys untersuch diskutier
        explica compar analiz justific razon ventaj desventaj porque discut
        expliqu raison avantage pourquoi inconvénient
        объясн сравн проанализ обоснуй почему плюс минус оцен
        explique analise vantage
        为什 解释 比较 分析 论证 评估 理由 利弊 优缺 推理 讨论 说明 説明 比較 論じ 違い
    """,
    Sense.PROOF: """
        prove proof proving lemma theorem derive derivation formal formalis formaliz lineariz undecid asymptot convergen
        counterexample axiom semantics corollary soundness completeness
        beweis herleit lemmat satz schranke linearisier
        demuestra demostrac deduce deduc teorema lema cota linealiz hipótes
        démontr dédui théorème lemme preuve borne linéaris hypothès
        докаж доказат вывед теорем лемм линеаризу обобщ
        demonstr deduza
        证明 推导 引理 定理 形式 归约 渐近 反例 証明 導出 補題
    """,
    Sense.DEPTH: """
        distributed consisten concurren transaction failure stochastic bayes quantum compiler kernel cryptograph
        protocol replicat calibrat econometr antitrust renormali mechanism migrat identifiab shard consensus invariant
        verteilt konsisten replikation transaktion nebenläuf
        distribuid consisten concurren protocol
        répart cohéren
        распредел согласован репликац конкурент
        分布 一致 并发 事务 随机 贝叶 量子 编译 协议 复制 校准 分散 整合 障害 同期
    """,
    Sense.MAKING: """
        design implement architect refactor optimi debug develop build draft plan write create generate compose outline
        rewrite script function program
        entwirf entwurf implementier schreib plane erstell verfass programmier funktion
        diseñ escrib planific redact crea
        conçoi implémente écri prépare rédige fonction
        спроектир реализ напиши состав создай функци
        projete escreva crie
        设计 实现 重写 优化 制定 撰写 编写 写一 函数 設計 実装 書い 立て 作成 関数
    """,
    Sense.ERRAND: """
        translat synonym spell rhyme plural convert defin grammar polite capital stand
        übersetz höflicher bedeutet hauptstadt
        traduc sinónimo significa
        tradui corrige
        переведи исправь назови столиц
        traduza sinônimo
        翻译 近义 一句 意思 礼貌 多长 摄氏 首都 几个 訳し 類義 一文 何の
    """,
}

STEMS: dict[str, Sense] = {stem: sense for sense, stems in _WORDS.items() for stem in stems.split()}
"""Each beginning with its sense; the longest that fits a word counts."""
