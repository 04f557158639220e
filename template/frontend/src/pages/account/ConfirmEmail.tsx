import { Link, useLocation } from 'react-router'
import { useConfirmEmail } from '../../api/account'
import { Form } from '../../components/Form'
import { Page } from '../../components/Page'
import { useTexts } from '../../texts'

/** Where the link in the mail to a new address leads. Its token stands after the #. */
export function ConfirmEmail() {
  const token = useLocation().hash.slice(1)
  const confirm = useConfirmEmail()
  const t = useTexts()

  if (confirm.isSuccess) {
    return (
      <Page title={t.emailChanged}>
        <p>
          <Link to="/account">{t.account}</Link>
        </p>
      </Page>
    )
  }
  return (
    <Page title={t.confirmEmailTitle}>
      <Form
        action={t.confirm}
        isPending={confirm.isPending}
        error={confirm.error}
        reasons={{ 401: t.voidText, 404: t.incomplete }}
        onSubmit={() => confirm.mutate(token)}
      >
        <p>{t.confirmEmailText}</p>
      </Form>
    </Page>
  )
}
